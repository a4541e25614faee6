package natstest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// longestOp is the length of CONNECT.
	longestOp = 7
	// maxMessage is the size in bytes above which something is not believed to
	// be a message: a server's max_payload is 1 MB, and at most what it lets a
	// client have pending, 64 MB.
	maxMessage = 64 << 20
)

// peekOp returns the operation that r goes on with, in capitals, without
// reading it; "" if it cannot be one. It waits for no more bytes than it needs
// to tell, since a peer that speaks something else may not send them.
func peekOp(r *bufio.Reader) (string, error) {
	for n := 1; n <= longestOp+1; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return "", err
		}
		switch ch := b[n-1]; {
		case ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n':
			return strings.ToUpper(string(b[:n-1])), nil
		case !strings.ContainsRune("+-", rune(ch)) && (ch|0x20 < 'a' || ch|0x20 > 'z'):
			return "", nil
		}
	}
	return "", nil
}

// known says whether op is one of those that clients send to servers, or
// servers to clients.
func known(dir Direction, op string) bool {
	if dir == ToServer {
		return slices.Contains([]string{"CONNECT", "PING", "PONG", "SUB", "UNSUB", "PUB", "HPUB"}, op)
	}
	return slices.Contains([]string{"INFO", "PING", "PONG", "+OK", "-ERR", "MSG", "HMSG"}, op)
}

// fromClient says whether a CONNECT line is that of a client: leafnodes and
// routes send one too, but without these fields.
func fromClient(line []byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line[len("CONNECT "):], &fields) != nil {
		return false
	}
	for _, name := range []string{"lang", "verbose", "pedantic"} {
		if _, ok := fields[name]; ok {
			return true
		}
	}
	return false
}

// withoutURLs returns an INFO line without the addresses of servers to
// reconnect to, which would lead past the proxy.
func withoutURLs(line []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(line[len("INFO "):], &fields) != nil {
		return line
	}
	delete(fields, "connect_urls")
	delete(fields, "ws_connect_urls")
	info, err := json.Marshal(fields)
	if err != nil {
		return line
	}
	return slices.Concat([]byte("INFO "), info, []byte("\r\n"))
}

// frame is the first line of a PUB, HPUB, MSG or HMSG, taken apart.
type frame struct {
	subject, reply string
	line           int // length in bytes of the line, with its end
	header, total  int // size in bytes of the header, and of header and payload
}

func parseFrame(op string, line []byte) (frame, error) {
	f := frame{line: len(line)}
	args := strings.Fields(string(line))[1:]

	sizes := []*int{&f.total}
	if op[0] == 'H' {
		sizes = []*int{&f.header, &f.total}
	}
	if len(args) <= len(sizes) {
		return f, fmt.Errorf("short %s", op)
	}
	names, numbers := args[:len(args)-len(sizes)], args[len(args)-len(sizes):]
	for i, size := range sizes {
		n, err := strconv.Atoi(numbers[i])
		if err != nil || n < 0 || n > maxMessage {
			return f, fmt.Errorf("size %q in %s", numbers[i], op)
		}
		*size = n
	}
	if f.header > f.total {
		return f, fmt.Errorf("header of %d in %s of %d bytes", f.header, op, f.total)
	}

	if strings.HasSuffix(op, "MSG") && len(names) > 1 {
		names = slices.Delete(names, 1, 2) // the subscription's number
	}
	switch len(names) {
	case 1:
		f.subject = names[0]
	case 2:
		f.subject, f.reply = names[0], names[1]
	default:
		return f, fmt.Errorf("%d names in %s", len(names), op)
	}
	return f, nil
}

// readBody returns line with the header, the payload and the line end that
// follow it in r.
func (f frame) readBody(r io.Reader, line []byte) ([]byte, error) {
	data := make([]byte, f.line+f.total+len("\r\n"))
	copy(data, line)
	_, err := io.ReadFull(r, data[f.line:])
	return data, err
}

// message returns the message that is in data, all of f with its body. Its
// bytes are those of data, which is never written to.
func (f frame) message(dir Direction, data []byte) Message {
	header, end := f.line+f.header, f.line+f.total
	m := Message{Direction: dir, Subject: f.subject, Reply: f.reply, Payload: data[header:end:end]}
	if f.header > 0 {
		m.Header = data[f.line:header:header]
	}
	return m
}
