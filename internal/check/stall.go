package check

import "fmt"

// flowControlStalled is the error of a mirror whose requests for flow control are not
// answered: JSSourceConsumerFlowControlStalledErr of server 2.14 and later.
const flowControlStalled = 10228

// StallCause is why a mirror does not advance, as far as it can be told, and what to do
// then; both are empty when it cannot. The origin may not have been read.
func (f Facts) StallCause() (cause, advice string) {
	c, link := f.Mirror.Config, f.Mirror.Mirror
	across := c.Mirror != nil && c.Mirror.External != nil && c.Mirror.External.DeliverPrefix != ""
	switch {
	case c.Sealed:
		return "it is sealed", "delete the mirror and create it again; sealing cannot be undone"
	case f.MayStore > 0 && f.Stored+f.oneMore() > f.MayStore:
		return fmt.Sprintf("the account's storage is used up: %d of %d bytes", f.Stored, f.MayStore),
			"give the account more storage, or delete what it does not need: the mirror then goes on by itself"
	case f.isFull():
		return "it is full", "raise the limit that it has reached, and restart the mirror's server afterwards"
	case link != nil && link.Error != nil && link.Error.Code == flowControlStalled:
		return "its requests for flow control are not answered", "let the accounts export and import the service $JS.FC.>; the mirror then goes on by itself"
	case across && link.EverActive() && f.Mirror.State.LastSeq == 0:
		return fmt.Sprintf("its link is active and nothing arrives, as when the subjects %q are not shared", c.Mirror.External.DeliverPrefix+".>"),
			"let the origin's account export the stream of these subjects, and the mirror's account import it"
	case across && link.EverActive():
		return "its link is active and nothing more arrives, as when the accounts do not share flow control", "let the accounts export and import the service $JS.FC.>"
	}
	return "", ""
}

// oneMore is what one more message of the origin takes, on the average.
func (f Facts) oneMore() uint64 {
	if f.Origin == nil || f.Origin.State.Msgs == 0 {
		return 0
	}
	return f.Origin.State.Bytes / f.Origin.State.Msgs
}

// isFull reports whether the mirror has reached a limit of its own.
func (f Facts) isFull() bool {
	c, s := f.Mirror.Config, f.Mirror.State
	if c.Discard != "new" {
		return false
	}
	return c.MaxBytes > 0 && s.Bytes+f.oneMore() > uint64(c.MaxBytes) || c.MaxMsgs > 0 && s.Msgs >= uint64(c.MaxMsgs)
}
