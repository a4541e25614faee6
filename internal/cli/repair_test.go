package cli

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// repairedAtOnce is how many mirrors are updated at a time.
const repairedAtOnce = 4

// updates are the buckets of which an update has passed.
func updates(p *natstest.Proxy) map[string]int {
	counts := map[string]int{}
	for _, r := range p.Traffic().Requests {
		if bucket, ok := strings.CutPrefix(r.Subject, "$JS.API.STREAM.UPDATE.KV_"); ok {
			counts[bucket]++
		}
	}
	return counts
}

// Whatever becomes of one mirror, the others are repaired, and what is said on it
// is true; a second run does what is left.
func TestRepairOutcomes(t *testing.T) {
	slow(t)
	t.Parallel()
	const n = 6
	for _, test := range []struct {
		name    string
		hook    func(natstest.Message) natstest.Verdict
		code    int
		action  mirror.Action
		kind    mirror.Kind
		outcome mirror.Action // of m2
		left    bool          // to be done by a second run
	}{
		{"request dropped", hitOnce("STREAM.UPDATE.KV_m2", natstest.ToServer, natstest.Drop), 3, mirror.Unknown, mirror.ErrOutcomeUnknown, mirror.Unknown, true},
		{"reply dropped", hitOnce("STREAM.UPDATE.KV_m2", natstest.ToClient, natstest.Drop), 0, mirror.Updated, "", mirror.Updated, false},
		{"not read again", drop("STREAM.INFO.KV_m2"), 1, mirror.Failed, mirror.ErrIncomplete, mirror.Failed, true},
		{"read again at the second try", hitOnce("STREAM.INFO.KV_m2", natstest.ToClient, natstest.Drop), 0, mirror.Updated, "", mirror.Updated, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites, p := plainMirrors(t, n)
			p.SetHook(test.hook)
			o := runFleet(t, t.Context(), "repair", "--all", "--force", "--server", p.URL(), "--timeout", brief.String())
			o.mustBe(t, test.code, test.action, test.kind)
			for bucket, action := range o.actions() {
				want := mirror.Updated
				if bucket == "m2" {
					want = test.outcome
				}
				if action != want {
					t.Errorf("%s: %s, want %s", bucket, action, want)
				}
			}
			if len(o.fleet.Mirrors) != n {
				t.Errorf("%d mirrors, want %d", len(o.fleet.Mirrors), n)
			}

			p.SetHook(nil)
			p.Reset()
			again := runFleet(t, t.Context(), "repair", "--all", "--force", "--server", p.URL())
			want := map[string]int{}
			if test.left {
				want["m2"] = 1
				again.mustBe(t, 0, mirror.Updated, "")
			} else {
				again.mustBe(t, 0, mirror.Unchanged, "")
			}
			if got := updates(p); !maps.Equal(got, want) {
				t.Errorf("the second run wrote %v, want %v", got, want)
			}
			for i := range n {
				if bucket := fmt.Sprintf("m%d", i); !hasTTL(t, sites.Leaf.URL(), bucket) {
					t.Errorf("%s has no per-key TTL", bucket)
				}
			}
		})
	}
}

// A server that refuses one update, or drops what it was asked for.
func TestRepairRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, says string
		kind       mirror.Kind
		answer     func(reply map[string]any)
	}{
		{"rejected", "no such luck (10052)", mirror.ErrRejected, func(reply map[string]any) {
			reply["error"] = map[string]any{"code": 500, "err_code": 10052, "description": "no such \x1b[31mluck"}
		}},
		{"not kept", "allow_msg_ttl is false and not true", mirror.ErrNotKept, func(reply map[string]any) { delete(config(reply), "allow_msg_ttl") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sites, _ := plainMirrors(t, 3)
			shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
				if subject == "STREAM.UPDATE.KV_m1" {
					test.answer(reply)
				}
			})
			o := runFleet(t, t.Context(), "repair", "--all", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
			o.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
			if !strings.Contains(o.fleet.Error.Message, "2 of 3 mirrors changed, 1 failed, 0 left alone") {
				t.Errorf("it says %q", o.fleet.Error.Message)
			}
			want := map[string]mirror.Action{"m0": mirror.Updated, "m1": mirror.Failed, "m2": mirror.Updated}
			if got := o.actions(); !maps.Equal(got, want) {
				t.Errorf("done was %v, want %v", got, want)
			}
			f := o.fleet.Mirrors[1].Failure
			if f == nil || f.Kind != test.kind || !strings.Contains(strings.ReplaceAll(f.Message, "\x1b[31m", ""), test.says) {
				t.Errorf("m1: %+v, want %q that says %q", f, test.kind, test.says)
			}
		})
	}
}

// Of several things that are wrong none hides another: a stream that is not read, an
// origin that does not answer, and an update that is refused.
func TestRepairSeveralFailures(t *testing.T) {
	slow(t)
	t.Parallel()
	sites, _ := plainMirrors(t, 3)
	if _, err := connectTo(t, sites.Leaf.URL()).Subscribe("SILENT.API.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	partlyRead := func(subject string, reply map[string]any) {
		streams, _ := reply["streams"].([]any)
		if subject != "STREAM.LIST" || len(streams) != 3 {
			return
		}
		reply["streams"], reply["missing"] = streams[1:], []string{"KV_m0"}
		silent, _ := streams[2].(map[string]any)
		mirror, _ := config(silent)["mirror"].(map[string]any)
		mirror["external"] = map[string]any{"api": "SILENT.API"}
	}
	refusing(t, sites.Leaf.URL(), func(subject string, _ []byte) bool { return strings.HasPrefix(subject, "STREAM.UPDATE") }, partlyRead)
	args := []string{"repair", "--all", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API", "--timeout", brief.String()}
	// fails makes sure that a run fails and says so much.
	fails := func(hint, flag string, what ...string) {
		t.Helper()
		o := runFleet(t, t.Context(), append(args, flag)...)
		o.mustBe(t, 1, mirror.Failed, mirror.ErrIncomplete)
		if o.fleet.Error == nil {
			return
		}
		for _, want := range what {
			if !strings.Contains(o.fleet.Error.Message, want) {
				t.Errorf("%s: %q is not in %q", flag, want, o.fleet.Error.Message)
			}
		}
		if o.fleet.Error.Hint != hint {
			t.Errorf("%s: the hint is %q, want %q", flag, o.fleet.Error.Hint, hint)
		}
	}
	const refused, missing, silent = "0 of 1 mirror changed, 1 failed", `1 part could not be read, the first is stream "KV_m0"`, "whether 1 mirror differs from its origin is not known"
	const again = "run the command again to read it again"
	fails(again, "--dry-run", missing, silent)
	fails("run the command again to do what is left\n"+again, "--force", refused, missing, silent)
}

// The same for people: a line each, with no control characters.
func TestRepairRefusedText(t *testing.T) {
	t.Parallel()
	sites, _ := plainMirrors(t, 2)
	shim(t, sites.Leaf.URL(), func(subject string, reply map[string]any) {
		if subject == "STREAM.UPDATE.KV_m1" {
			reply["error"] = map[string]any{"code": 500, "err_code": 10052, "description": "no such \x1b[31mluck"}
		}
	})
	code, out, errs := runText(t, t.Context(), "repair", "--all", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API")
	if code != 1 || strings.Contains(out+errs, "\x1b") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	for _, line := range []string{"m0: updated\n", `m1: failed: bucket "m1" was not changed: request to "FAKE.API.STREAM.UPDATE.KV_m1": rejected by the server: no such \x1b[31mluck (10052)` + "\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in %q", line, out)
		}
	}
	if want := "hint: run `nats-kvmirror recreate m1 --js-api-prefix FAKE.API`\n"; !strings.Contains(errs, want) {
		t.Errorf("%q is not in %q", want, errs)
	}
	if want := "error: 1 of 2 mirrors changed, 1 failed, 0 left alone, 0 with an unknown outcome\nhint: run the command again to do what is left\n"; !strings.Contains(errs, want) {
		t.Errorf("%q is not in %q", want, errs)
	}
}

// An interrupt hands out nothing new, lets what is under way end, and says what
// was not done; a second run finishes the rest.
func TestRepairInterrupted(t *testing.T) {
	t.Parallel()
	const n = 3 * repairedAtOnce
	for _, at := range []string{"STREAM.UPDATE", "STREAM.INFO.KV_m0"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			sites, p := plainMirrors(t, n)
			p.SetDelay(50 * time.Millisecond) // the answers come after the interrupt
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			p.SetHook(func(m natstest.Message) natstest.Verdict {
				if m.Direction == natstest.ToServer && strings.Contains(m.Subject, at) {
					interrupt()
				}
				return natstest.Pass
			})
			code, out, errs := runText(t, ctx, "repair", "--all", "--force", "--server", p.URL())
			written := updates(p)
			if code != 1 || !strings.Contains(errs, "error: interrupted: ") || !strings.Contains(errs, "hint: run the command again to do what is left") {
				t.Errorf("exit code %d: %s", code, errs)
			}
			if len(written) > repairedAtOnce || at == "STREAM.UPDATE" && len(written) == 0 || at != "STREAM.UPDATE" && len(written) > 0 {
				t.Errorf("written were %v", written)
			}
			for i := range n {
				bucket := fmt.Sprintf("m%d", i)
				line := bucket + ": skipped: interrupted before its turn\n"
				if written[bucket] > 0 {
					line = bucket + ": updated\n"
				}
				if !strings.Contains(out, "\n"+line) {
					t.Errorf("%q is not in %q", line, out)
				}
				if hasTTL(t, sites.Leaf.URL(), bucket) != (written[bucket] > 0) {
					t.Errorf("%s is not as it is said to be", bucket)
				}
			}

			p.SetHook(nil)
			p.SetDelay(0)
			p.Reset()
			runFleet(t, t.Context(), "repair", "--all", "--force", "--server", p.URL()).mustBe(t, 0, mirror.Updated, "")
			if again := updates(p); len(again) != n-len(written) {
				t.Errorf("the second run wrote %v after %v", again, written)
			}
		})
	}
}

// Several mirrors are repaired at a time, and not more than several.
func TestRepairAtOnce(t *testing.T) {
	t.Parallel()
	const n = 3 * repairedAtOnce
	sites, _ := plainMirrors(t, n)
	nc := connectTo(t, sites.Leaf.URL())
	var mu sync.Mutex
	now, most, written := 0, 0, map[string]bool{}
	full := make(chan struct{})
	update := func(subject string) {
		mu.Lock()
		defer mu.Unlock()
		written[subject] = true
		now++
		most = max(most, now)
		if now == repairedAtOnce && len(written) == repairedAtOnce {
			// The answers wait for all that come at once, and for one that should not.
			time.AfterFunc(50*time.Millisecond, func() { close(full) })
		}
	}
	_, err := nc.Subscribe("FAKE.API.>", func(m *nats.Msg) {
		go func() {
			subject := strings.TrimPrefix(m.Subject, "FAKE.API.")
			isUpdate := strings.HasPrefix(subject, "STREAM.UPDATE")
			if isUpdate {
				update(subject)
				<-full
			}
			answer, err := nc.RequestMsg(&nats.Msg{Subject: "$JS.API." + subject, Header: m.Header, Data: m.Data}, longest)
			if isUpdate {
				mu.Lock()
				now--
				mu.Unlock()
			}
			if err == nil {
				_ = m.Respond(answer.Data)
			}
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	runFleet(t, t.Context(), "repair", "--all", "--force", "--server", sites.Leaf.URL(), "--js-api-prefix", "FAKE.API", "--timeout", "1m").mustBe(t, 0, mirror.Updated, "")
	mu.Lock()
	defer mu.Unlock()
	if most != repairedAtOnce {
		t.Errorf("%d updates were under way at once, want %d", most, repairedAtOnce)
	}
	if len(written) != n {
		t.Errorf("written were %v", written)
	}
}
