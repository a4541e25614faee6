package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// mustStall asserts that add says why a mirror does not advance, that check does as
// well, and that it offers no remedy that does not help.
func mustStall(t *testing.T, add []string, url, cause, advice string) {
	t.Helper()
	at := func(args ...string) []string { return append(args, "--server", url) }
	added := runJSON(t, t.Context(), at(append(add, "--wait", brief.String())...)...)
	added.mustBe(t, 1, mirror.Failed, mirror.ErrNotCaughtUp)
	if e := added.report.Error; e != nil && !strings.Contains(e.Message, cause) {
		t.Errorf("add says %q, which is not %q", e.Message, cause)
	}
	var stalled *check.Finding
	waitUntil(t, "the stall is found", func() bool {
		for _, m := range runFleet(t, t.Context(), at("check", "m")...).fleet.Mirrors {
			for _, f := range m.Findings {
				if f.Code == "stalled" {
					stalled = &f
				}
			}
		}
		return stalled != nil
	})
	if !strings.Contains(stalled.Message, cause) || stalled.Remedy != check.None || !strings.Contains(stalled.Advice, advice) || strings.Contains(stalled.Advice, "create it again") {
		t.Errorf("check says %+v, want %q and %q", stalled, cause, advice)
	}
}

// A mirror that does not fit into its account says so, and goes on when there is room.
func TestStallOfFullAccount(t *testing.T) {
	slow(t)
	t.Parallel()
	s, err := natstest.Start(`
server_name: S
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}", max_memory_store: 64MB, max_file_store: 64MB }
accounts { A { jetstream: { max_mem: 32MB, max_file: 600KB }, users: [ {user: a, password: a} ] } }
`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	url := "nats://a:a@" + s.Addr()
	filler := keyValue(t, url, jetstream.KeyValueConfig{Bucket: "filler"})
	if _, err := filler.Put(t.Context(), "key", make([]byte, 300_000)); err != nil {
		t.Fatal(err)
	}
	keyValue(t, url, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute, Storage: jetstream.MemoryStorage})
	putMany(t, url, 500, strings.Repeat("x", 1024))
	mustStall(t, []string{"add", "m", "--mirror", "demo", "--storage", "file"}, url, "the account's storage is used up: ", "give the account more storage")
	request(t, connectTo(t, url), "$JS.API.STREAM.PURGE.KV_filler", "")
	waitUntil(t, "the mirror goes on", func() bool { return readStream(t, connectTo(t, url), "m").State.Last == 500 })
}

// Accounts that share too little: what is missing is named. A filtered mirror that is
// complete is not said to be behind because single messages are not shared.
func TestStallOfAccountsNamed(t *testing.T) {
	slow(t)
	t.Parallel()
	add := []string{"add", "m", "--mirror", "demo", "--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B"}
	origin := func(t *testing.T, kind natstest.AccountsKind, keys int) (url string) {
		a, b := accounts(t, kind, false)
		kv := keyValue(t, a, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Minute})
		if _, err := kv.PutString(t.Context(), "only", "value"); err != nil {
			t.Fatal(err)
		}
		putMany(t, a, keys, strings.Repeat("x", 1024))
		return b
	}
	t.Run("no delivery", func(t *testing.T) {
		t.Parallel()
		mustStall(t, add, origin(t, natstest.CrossAccountNoDelivery, 3), `the subjects "deliver.B.>" are not shared`, "export the stream")
	})
	t.Run("no flow control", func(t *testing.T) {
		t.Parallel()
		mustStall(t, add, origin(t, natstest.CrossAccountNoFlowControl, 2000), "flow control", "$JS.FC.>")
	})
	t.Run("filtered, without single messages", func(t *testing.T) {
		t.Parallel()
		at := []string{"--server", origin(t, natstest.CrossAccount, 100)}
		added := runJSON(t, t.Context(), append(append(add, "--filter", "only", "--wait", "1m"), at...)...)
		added.mustBe(t, 0, mirror.Created, "")
		checked := runFleet(t, t.Context(), append(at, "check", "m")...)
		if found := fmt.Sprint(checked.fleet.Mirrors); checked.code != 0 || strings.Contains(found, "filtered-tail-unknown") {
			t.Errorf("exit code %d, %s", checked.code, found)
		}
	})
}
