package content

import (
	"time"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
)

// Item is a message in which mirror and origin differ.
type Item struct {
	Kind   Kind      `json:"kind"`
	Reason string    `json:"reason"`
	Seq    uint64    `json:"seq"`
	Key    string    `json:"key"`
	Time   time.Time `json:"time"` // when it was stored at the origin
	TTL    string    `json:"ttl,omitempty"`

	Subject string `json:"-"` // the mirror's, if it has the message
}

// itemOf describes a message as the mirror holds it, or would hold it.
func (c *classifier) itemOf(p pair, kind Kind, reason string) Item {
	m := p.mirror
	if m == nil {
		m = p.origin
	}
	subject := string(m.Subject)
	if p.mirror == nil && c.rename != nil {
		subject = c.rename(subject)
	}
	return Item{
		Kind: kind, Reason: reason, Seq: m.Seq, Key: kvcfg.Key(subject), Time: time.Unix(0, m.Time).UTC(),
		TTL: m.Header(jsapi.TTLHeader), Subject: subject,
	}
}
