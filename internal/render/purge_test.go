package render

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// compared is a comparison with this verdict and these messages left over.
func compared(v mirror.Verdict, leftOver uint64, items ...mirror.Item) *mirror.Content {
	c := &mirror.Content{Items: items}
	c.Verdict, c.Through, c.Compared = v, 2000, 1234
	c.LeftOver = map[string]uint64{mirror.Expired: leftOver}
	return c
}

func TestSentence(t *testing.T) {
	with := func(c *mirror.Content, change func(*mirror.Content)) *mirror.Content {
		change(c)
		return c
	}
	for _, test := range []struct {
		c    *mirror.Content
		want string
	}{
		{compared(mirror.Identical, 0), "holds what its origin holds up to sequence 2,000: 1,234 messages are the same"},
		{with(compared(mirror.Identical, 0), func(c *mirror.Content) { c.Compared, c.Payload, c.ByDesign = 1, true, 1 }),
			"holds what its origin holds up to sequence 2,000: 1 message is the same, bodies and all headers included; 1 message is on one side alone by design"},
		{compared(mirror.SameSequences, 0), "has the sequences of its origin up to sequence 2,000: 1,234 messages are on both sides; subjects and bodies were not compared"},
		{with(compared(mirror.Differs, 3), func(c *mirror.Content) { c.Missing = map[string]uint64{mirror.Gone: 1, mirror.Absent: 1} }),
			"differs from its origin up to sequence 2,000: 3 left over, 2 missing, while 1,234 messages are the same"},
		{with(compared(mirror.Unverified, 0), func(c *mirror.Content) { c.Pending, c.Uncertain, c.Behind = 2, 1, 1 }),
			"is not verified to hold what its origin holds: up to sequence 2,000, 1,234 messages are the same; 2 messages may go when the mirror has caught up" +
				"; 1 message is on one side alone, by design or not: that cannot be told; the mirror is 1 sequence behind"},
		{with(compared(mirror.Unverified, 0), func(c *mirror.Content) { c.Unresolved, c.Unreadable = 1, 2 }),
			"is not verified to hold what its origin holds: up to sequence 2,000, 1,234 messages are the same; 1 message is about to expire on one side alone; 2 messages have headers that cannot be read"},
		{with(compared(mirror.Differs, 0), func(c *mirror.Content) { c.MissingAbove = 3 }),
			"differs from its origin up to sequence 2,000: 3 lost by the origin alone, while 1,234 messages are the same"},
		{with(compared(mirror.Unverified, 1), func(c *mirror.Content) { c.OriginUnreadable = "denied" }),
			"could not be compared with its origin; 1 message has expired and should not be there"},
		{with(compared(mirror.Unverified, 0), func(c *mirror.Content) { c.Ahead = 5 }),
			"is not verified to hold what its origin holds: up to sequence 2,000, 1,234 messages are the same; the mirror is 5 sequences ahead of its origin, which is not the one that it was filled from"},
	} {
		if got := Sentence(test.c); got != test.want {
			t.Errorf("the sentence is\n%s\nwant\n%s", got, test.want)
		}
	}
}

// purged are mirrors of which something is left over.
func purged() []mirror.Member {
	stored := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return []mirror.Member{
		{
			Bucket:  "some",
			Content: compared(mirror.Differs, 1234, mirror.Item{Kind: mirror.IsLeftOver, Reason: mirror.Expired, Seq: 7, Key: nasty, Time: stored, TTL: "1m"}),
			Purge:   &mirror.Purge{Messages: 1200, Keys: 30, UnpurgeableKeys: 3, Unpurgeable: []string{"a", nasty}},
			Findings: []check.Finding{
				{Code: "left-over", Severity: check.Critical, Message: "written by the comparison"},
				{Code: "ttl-off", Severity: check.Critical, Message: "the words of ttl-off", Fix: []string{"nats", "kvmirror", "repair", "some mirror"}, Advice: "and more"},
				{Code: "no-fix", Severity: check.Warning, Message: "the words of no-fix"},
				{Code: "discard-old", Severity: check.OK, Message: "not written"},
			},
		},
		{Bucket: "one", Content: compared(mirror.Differs, 1), Purge: &mirror.Purge{Messages: 1, Keys: 1, UnpurgeableKeys: 1, Unpurgeable: []string{"a"}}},
		{Bucket: nasty, Purge: &mirror.Purge{}, Note: nasty, Failure: &mirror.Failure{Message: nasty}},
		{Bucket: "nothing"},
	}
}

func TestPurges(t *testing.T) {
	human(t)
	t.Setenv("NATS_TABLE_FORMAT", "")
	var b strings.Builder
	if err := Purges(&b, purged(), Style{}); err != nil {
		t.Fatal(err)
	}
	harmless(t, b.String())
	golden(t, "purges", b.String())
	if err := Purges(broken{}, purged(), Style{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to a broken pipe: %v", err)
	}
}
