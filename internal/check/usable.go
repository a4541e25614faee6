package check

import (
	"encoding/json"
	"strings"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// usableRows are the findings that a client cannot read the mirror as a bucket, though
// it may hold all that its origin holds.
func usableRows() []row {
	return []row{{
		Kind: Kind{"retention", "the mirror does not keep what it takes until a limit removes it", None, "delete the mirror and create it again with the retention policy limits"},
		find: retention,
	}, {
		Kind: Kind{"origin-retention", "the origin does not keep what it takes until a limit removes it", None, "delete the mirror before the origin loses more, or copy the origin to a bucket with the retention policy limits"},
		find: originRetention,
	}, {
		Kind: Kind{"sealed", "the mirror is sealed: it takes nothing more", None, "delete the mirror and create it again; sealing cannot be undone"},
		find: sealed,
	}, {
		Kind: Kind{"consumer-limits", "the mirror limits its consumers so that no client can watch or list keys", Repair, ""},
		find: consumerLimits,
		fix: func(mirror, _ stream.Config) []setting {
			limits := map[string]json.RawMessage{} // with what this program does not know
			_ = json.Unmarshal(mirror.Raw()["consumer_limits"], &limits)
			delete(limits, "max_ack_pending")
			return []setting{{"consumer_limits", limits, kvcfg.FromDerived}}
		},
	}, {
		Kind: Kind{"keys-renamed", "the mirror stores keys under names that clients do not look for", None, "delete the mirror and create it again without the subject transform that the message names"},
		find: keysRenamed,
	}, {
		Kind: Kind{"beside-origin", "the mirror is beside its origin, under another name, where clients that open it find no keys", None, "open the origin instead"},
		find: besideOrigin,
	}}
}

func retention(f Facts, _ Thresholds) (Severity, string) {
	switch f.Mirror.Config.Retention {
	case "workqueue":
		return found(Critical, "the mirror's retention policy is workqueue: no client can watch or list its keys, and a message is gone once a consumer has acknowledged it")
	case "interest":
		return found(Critical, "the mirror's retention policy is interest: it keeps nothing that no consumer waits for")
	}
	return none()
}

func originRetention(f Facts, _ Thresholds) (Severity, string) {
	if f.Origin == nil {
		return none()
	}
	switch f.Origin.Config.Retention {
	case "workqueue":
		return found(Critical, "the origin's retention policy is workqueue: what the mirror takes is removed there")
	case "interest":
		return found(Critical, "the origin's retention policy is interest: it keeps nothing for the mirror")
	}
	return none()
}

func sealed(f Facts, _ Thresholds) (Severity, string) {
	if !f.Mirror.Config.Sealed {
		return none()
	}
	return found(Critical, "the mirror is sealed: it takes nothing of what its origin gets")
}

func consumerLimits(f Facts, _ Thresholds) (Severity, string) {
	n := f.Mirror.Config.ConsumerLimits.MaxAckPending
	if n <= 0 {
		return none()
	}
	return found(Critical, "the mirror limits the unacknowledged messages of its consumers to %d: servers refuse the consumers that watch or list keys, which acknowledge nothing", n)
}

// keyPrefix is where clients look for the keys of a mirror: under its own name, or
// under that of an origin behind another prefix (nats.go, jetstream/kv.go,
// mapStreamToKVS).
func keyPrefix(mirror stream.Config) string {
	name := mirror.Name
	if e := mirror.Mirror.External; e != nil && e.APIPrefix != "" {
		name = mirror.Mirror.Name
	}
	return "$KV." + kvcfg.DisplayName(name) + "."
}

func keysRenamed(f Facts, _ Thresholds) (Severity, string) {
	c := f.Mirror.Config
	origin, looked := "$KV."+kvcfg.DisplayName(c.Mirror.Name)+".", keyPrefix(c)
	for _, t := range c.Mirror.SubjectTransforms {
		same := stream.IdentityTransform(t.Source)
		if t.Destination == "" || t.Destination == t.Source || t.Destination == same {
			continue
		}
		if key, ok := strings.CutPrefix(same, origin); ok && t.Destination == looked+key {
			continue
		}
		return found(Warning, "the mirror stores %q as %q: clients do not find these keys under their names", t.Source, t.Destination)
	}
	return none()
}

// besideOrigin is no reason to worry: such a mirror answers direct gets in its origin's
// name.
func besideOrigin(f Facts, _ Thresholds) (Severity, string) {
	c := f.Mirror.Config
	origin, looked := "$KV."+kvcfg.DisplayName(c.Mirror.Name)+".", keyPrefix(c)
	if origin == looked {
		return none()
	}
	for _, t := range c.Mirror.SubjectTransforms {
		if strings.HasPrefix(t.Destination, looked) {
			return none()
		}
	}
	return found(OK, "clients that open the mirror look for its keys under %q, and it stores them as its origin does, under %q", looked+">", origin+">")
}
