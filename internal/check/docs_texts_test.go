package check

import (
	"fmt"

	"nats-kvmirror/internal/kvcfg"
)

// explained is what docs/findings.md says of a finding beside its row of the table.
type explained struct{ symptom, cause string }

// texts are the explanations of all findings, by code.
func texts() map[string]explained {
	return map[string]explained{
		"ttl-off": {
			"Keys that have expired at the origin are listed and served at the mirror's site, delete markers stay, and the mirror grows.",
			"A mirror expires messages only when its own stream has `allow_msg_ttl`. `nats kv add --mirror` cannot set it.",
		},
		"ttl-origin-off": {
			"None.",
			"The mirror was created with per-key TTL, or had it turned on, and its origin has none. No server turns it off again.",
		},
		"ttl-origin-ignored": {
			"A key disappears at the mirror's site and stays at the origin.",
			"Clients put keys with a TTL into a bucket whose server, 2.10 or older, does not know TTLs; the mirror's server does.",
		},
		"ttl-lost-above": {
			"As of `ttl-off`, at this mirror and at the one above it.",
			"The origin is a mirror itself, and has no per-key TTL though its own origin has it. What it does not expire, it hands on.",
		},
		"chain-unreadable": {
			"None by itself: whether per-key TTL is lost further up is not known.",
			"Behind the prefix of another account a chain cannot be followed, or the user may not read what is above.",
		},
		"server-too-old": {
			"As of `ttl-off`; `edit` and `repair` refuse to turn per-key TTL on.",
			"The server that hosts the mirror is 2.10 or older, which accepts the setting and drops it.",
		},
		"server-keeps-expired": {
			"After `repair`, new keys expire and those that were there before do not.",
			"Servers 2.11.0 to 2.11.17 turn per-key TTL on only when a stream is created, or may keep what had been stored before; see [versions.md](versions.md).",
		},
		"origin-raises-ttl": {
			"A key disappears at the mirror's site earlier than at the origin.",
			"Servers 2.11.0 to 2.11.8 raise the TTL of a key to that of the limit markers in a bucket with a history above 1, and do not say so in the message.",
		},
		"origin-missing": {
			"The mirror serves what it had, and gets nothing new.",
			"The origin was deleted, or the mirror was created with a wrong name: servers accept any.",
		},
		"origin-not-a-bucket": {
			"Clients that open the mirror find no keys, or keys that mean nothing.",
			"The stream that is mirrored does not hold `$KV.BUCKET.>`.",
		},
		"origin-denied": {
			"`info` and `ls` show the origin as not reachable; nothing is known of how they compare.",
			"The user may not read the origin's stream info, though the mirror itself copies.",
		},
		"origin-unreachable": {
			"`info` and `ls` show the origin as not reachable; the mirror may be fine, or cut off.",
			"The hub or the link is down, the domain is misspelt, or an import is missing: servers do not tell these apart.",
		},
		"origin-recreated": {
			"Old and new values are mixed, and keys are missing.",
			"The origin was deleted and created again, or restored at an earlier state: its sequences began again, and the mirror goes on from its own.",
		},
		"never-connected": {
			"The mirror is empty, or holds what it held before its server started. Its lag is 0 and it has no error.",
			"The domain or prefix is wrong, the hub is down since before the mirror was created or its server started, or what accounts have to share is missing. Servers create such a mirror all the same.",
		},
		"link-stale": {
			"Nothing new comes. The lag does not grow, because it is what the mirror knew last.",
			"The leafnode, gateway or route to the origin is down, or the origin's server is. A link that is up is active once a second.",
		},
		"mirror-error": {
			"What the server reports.",
			"As the server says it: a stream that is not found, or flow control that is not answered.",
		},
		"stalled": {
			"The last sequence stays as it is while the origin's is ahead; `active` may look healthy and lag may be 0.",
			"A limit of the mirror or of the account was reached, it is sealed, or accounts do not share flow control. The message names the cause where it can be told.",
		},
		"behind": {
			"Reads at the mirror's site are old.",
			"The link is slow or was down, or the origin takes more than the link lets through. `--lag-warn` and `--lag-critical` set what is reported.",
		},
		"filtered-tail-unknown": {
			"None.",
			"The last messages of the origin may be of keys that the mirror does not take, and the user may not look.",
		},
		"left-over": {
			"Keys that are gone at the origin are served here.",
			"They expired while the mirror had no per-key TTL, or were purged from the origin's stream, which mirrors do not follow.",
		},
		"missing": {
			"Keys of the origin are not found here.",
			"They were deleted from the mirror, dropped at a limit or by a setting of it, or lost by its storage. A mirror never asks for a message again.",
		},
		"different": {
			"A key has another value, or another key has its revision.",
			"The origin was restored from a backup and written to again, or created again.",
		},
		"missing-above": {
			"None here.",
			"A mirror in the middle of a chain has lost messages that it had passed on.",
		},
		"clock-skew": {
			"Keys are gone here and served at the origin, or the other way round, for as long as the clocks differ.",
			"Servers expire messages by the time at which the origin stored them and by their own clock.",
		},
		"content-unverified": {
			"None.",
			"Messages could not be read, or were about to expire and did not settle: see [verify.md](verify.md).",
		},
		"max-age": {
			"Values are here longer than at the origin, or gone earlier.",
			"A mirror inherits no maximum age: it has its own, which is none unless a flag set one when it was created.",
		},
		"history": {
			"`nats kv history` shows another number of values here.",
			"A mirror inherits no history.",
		},
		"max-value-size": {
			"None, until a value is put that is larger than the mirror takes: then nothing more comes.",
			"A mirror inherits no maximum value size.",
		},
		"origin-limit": {
			"Keys that the origin has dropped at its limit are served here.",
			"The origin is a stream that discards its oldest values at `max_bytes` or `max_msgs`, and the mirror was created without that.",
		},
		"stops-when-full": {
			"None, until it is full: then nothing more comes, lag stays above 0, and no error is reported. Raising the limit later does not help without a restart.",
			"The mirror has `max_bytes` or `max_msgs` and discards new messages.",
		},
		"rollup-off": {
			"A key that was purged at the origin is served here, on 2.11 at least.",
			"The mirror was created by something other than a Key-Value client.",
		},
		"deny-delete-off": {
			"None, until somebody deletes a message.",
			"The mirror was created by something other than a Key-Value client.",
		},
		"direct-off": {
			"Reads are slower than they could be.",
			"The mirror was created by something other than a Key-Value client.",
		},
		"mirror-direct-off": {
			"Reads of the origin's bucket at this site go all the way to the origin.",
			"The mirror was created without `mirror_direct`, which has to be sent for an origin in another domain; or `promote` turned it off.",
		},
		"republish-loop": {
			"Load without end, and an origin that grows.",
			"The destination of the mirror's republishing is a subject that a bucket listens on.",
		},
		"discard-old": {
			"Keys disappear here that the origin has, once the limit is reached.",
			"The mirror has a limit of its own and discards old messages.",
		},
		"retention": {
			"Keys cannot be watched or listed, or are gone once read.",
			"The mirror's stream was created with another retention policy than limits.",
		},
		"origin-retention": {
			"The origin loses what the mirror takes, or the mirror gets nothing.",
			"The origin's stream was created with another retention policy than limits.",
		},
		"sealed": {
			"Nothing new comes.",
			"Somebody sealed the stream.",
		},
		"consumer-limits": {
			"`nats kv ls BUCKET` and watchers fail, and `nats kv get` works.",
			"The stream has a default for `max_ack_pending`, which the consumers of Key-Value clients contradict.",
		},
		"keys-renamed": {
			"Clients that open the mirror do not find the keys.",
			"The mirror was created with a subject transform.",
		},
		"beside-origin": {
			"Clients that open the mirror by its name find no keys; reads of the origin's name may be answered by it.",
			"In the origin's own domain, clients look for the keys under the mirror's name, and it stores them under the origin's.",
		},
		"replica-offline": {
			"None, until another replica fails.",
			"A server of the cluster is down or cut off.",
		},
		"replica-behind": {
			"Reads that a replica answers may be old.",
			"A server of the cluster was restarted, or is slow.",
		},
		"unreadable": {
			"A mirror, or a whole domain, is not in the list.",
			"The message names it: no responders, a denied subject, or a timeout.",
		},
		"not-found": {
			"None.",
			"The bucket has another name, or is in another domain or account than the one that is asked.",
		},
		"not-a-mirror": {
			"None.",
			"The bucket is an origin itself, was promoted, or was made without `--mirror`.",
		},
		"not-a-bucket": {
			"The stream is in no list of mirrors.",
			"It mirrors a stream, and only one of the two is named `KV_…`.",
		},
		"count": {
			"None.",
			"A mirror was deleted, was promoted, or is in another domain.",
		},
	}
}

// unread are failures to read, as they are worded.
var unread = map[Reason]string{
	ReasonMissing:     `request to "$JS.hub.API.STREAM.INFO.KV_demo": not found: stream not found (10059)`,
	ReasonNotBucket:   fmt.Sprintf("stream %q is %v: it keeps no bounded history", "KV_demo", kvcfg.ErrNotBucket),
	ReasonNotMirror:   `bucket "demo2" is not a mirror`,
	ReasonDenied:      `request to "$JS.hub.API.STREAM.INFO.KV_demo": permission denied`,
	ReasonUnreachable: `request to "$JS.hub.API.STREAM.INFO.KV_demo": no responders`,
}

// fleetExamples are facts in which all findings about the fleet are found.
func fleetExamples() []FleetFacts {
	var problems []Unreadable
	for _, reason := range []Reason{ReasonMissing, ReasonNotMirror, ReasonUnreachable} {
		problems = append(problems, Unreadable{reason, fmt.Sprintf("bucket %q: %s", "demo2", unread[reason])})
	}
	return []FleetFacts{
		{Mirrors: 1, Problems: problems, NotBuckets: []error{fmt.Errorf("stream %q is %v: it is not named like one", "MIRROR", kvcfg.ErrNotBucket)}},
		{Mirrors: 3, Expected: new(int64(4))}, {Empty: []string{""}},
	}
}
