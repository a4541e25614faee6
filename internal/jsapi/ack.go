package jsapi

import (
	"errors"
	"strconv"
	"strings"
)

// position is what a message's acknowledgement subject says of it.
type position struct {
	seq, delivered, pending uint64
	time                    int64 // nanoseconds since 1970
}

const ackPrefix = "$JS.ACK."

var errAck = errors.New("the message does not say its sequence")

// parseAck reads the subject on which a message would be acknowledged:
// $JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<count>.<time>.<pending>, with
// a domain and an account before the stream, and perhaps more at the end, from
// 2.12 on (ADR-15).
func parseAck(reply string) (position, error) {
	const short, long = 9, 11
	tokens := strings.Count(reply, ".") + 1
	skip := 5
	switch {
	case !strings.HasPrefix(reply, ackPrefix), tokens < short, tokens > short && tokens < long:
		return position{}, errAck
	case tokens >= long:
		skip = 7
	}
	for range skip {
		_, reply, _ = strings.Cut(reply, ".")
	}
	var p position
	var err error
	for _, field := range []*uint64{&p.seq, &p.delivered, nil, &p.pending} {
		var token string
		token, reply, _ = strings.Cut(reply, ".")
		if field == nil {
			p.time, err = strconv.ParseInt(token, 10, 64)
		} else {
			*field, err = strconv.ParseUint(token, 10, 64)
		}
		if err != nil {
			return position{}, errAck
		}
	}
	return p, nil
}
