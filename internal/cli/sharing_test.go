package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// twoAccounts runs a server with the accounts A (user a) and B (user b), and
// returns their addresses. what each shares is pasted into it.
func twoAccounts(t *testing.T, a, b string) (urlA, urlB string) {
	t.Helper()
	s, err := natstest.Start(fmt.Sprintf(`
server_name: X
listen: 127.0.0.1:-1
jetstream { store_dir: "{{dir}}" }
accounts {
  A { jetstream: enabled, users: [ {user: a, password: a} ]
%s
  }
  B { jetstream: enabled, users: [ {user: b, password: b} ]
%s
  }
}
`, a, b))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, a, b)
	}
	t.Cleanup(s.Stop)
	return "nats://a:a@" + s.Addr(), "nats://b:b@" + s.Addr()
}

// What is printed when an account shares nothing, pasted into the server's
// configuration, makes everything work.
func TestPastedSharing(t *testing.T) {
	slow(t)
	for _, prefix := range []string{"JS.A.API", "$JS.publisher.API"} { // the second as a domain's
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			pasteSharing(t, prefix)
		})
	}
}

func pasteSharing(t *testing.T, prefix string) {
	origin := []string{"--mirror", "demo", "--mirror-api-prefix", prefix, "--mirror-deliver-prefix", "deliver.B"}
	_, url := twoAccounts(t, "", "")
	failed := runJSON(t, t.Context(), append([]string{"add", "m", "--server", url}, origin...)...)
	failed.mustBe(t, 1, mirror.Failed, mirror.ErrOriginUnreadable)
	code, _, errs := runText(t, t.Context(), append([]string{"add", "m", "--server", url}, origin...)...)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}

	// What is shown is pasted as it is.
	_, shown, _ := strings.Cut(errs, "  # in the account of the origin")
	shown, _, _ = strings.Cut(shown, "hint: ")
	shown = strings.NewReplacer(kvcfg.OriginAccount, "A", kvcfg.MirrorAccount, "B").Replace("#" + shown)
	exports, imports, found := strings.Cut(shown, "  # in the account of the mirror")
	if !found {
		t.Fatalf("nothing to paste in:\n%s", errs)
	}
	urlA, url := twoAccounts(t, exports, "#"+imports)
	kv := keyValue(t, urlA, jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: 1e9})
	putMany(t, urlA, 3000, strings.Repeat("x", 1024)) // more than is sent without an answer

	at := []string{"--server", url}
	runJSON(t, t.Context(), append(append([]string{"add", "m", "--wait", "1m"}, origin...), at...)...).mustBe(t, 0, mirror.Created, "")
	runFleet(t, t.Context(), append(at, "check", "m", "--content", "--payload")...).mustBe(t, 0, mirror.Checked, "")
	if err := kv.Delete(t.Context(), "key.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := connectTo(t, urlA).Request("$JS.API.STREAM.PURGE.KV_demo", []byte(`{"filter":"$KV.demo.key.2"}`), longest); err != nil {
		t.Fatal(err)
	}
	pruned := runFleet(t, t.Context(), append(at, "prune", "m", "--gone", "--force")...)
	pruned.mustBe(t, 0, mirror.Updated, "")
	if n := pruned.fleet.Mirrors[0].Purge.Purged; n != 1 {
		t.Errorf("%d messages were purged, want 1", n)
	}
	runJSON(t, t.Context(), append(at, "recreate", "m", "--force")...).mustBe(t, 0, mirror.Recreated, "")
	var list struct {
		Consumers []string `json:"consumers"`
	}
	askAPI(t, connectTo(t, urlA), "CONSUMER.NAMES.KV_demo", nil, &list)
	for _, name := range list.Consumers {
		if strings.HasPrefix(name, "kvmirror-") {
			t.Errorf("the consumer %s is left", name)
		}
	}
}
