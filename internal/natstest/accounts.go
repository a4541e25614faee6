package natstest

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// AccountsKind says what the two accounts of Accounts share.
type AccountsKind int

const (
	// CrossAccount shares all that a mirror of A's bucket in B needs.
	CrossAccount AccountsKind = iota
	// CrossAccountUnreadable lacks the origin's STREAM.INFO: the mirror works,
	// and its origin cannot be read.
	CrossAccountUnreadable
	// CrossAccountNoFlowControl lacks $JS.FC.>: the mirror stalls part-way once
	// there is more to copy than the server sends without an answer.
	CrossAccountNoFlowControl
	// CrossAccountNoDelivery lacks the stream of the deliver prefix: the mirror is
	// connected and gets nothing.
	CrossAccountNoDelivery
)

// Accounts runs one server with two JetStream accounts: A (user a, password a)
// for the bucket demo, and B (user b, password b) for a mirror of it, which
// uses the API prefix JS.A.API and the deliver prefix deliver.B. The user sys,
// password sys, is in the system account.
func Accounts(kind AccountsKind) (*Server, error) {
	return Start(accountsConf(kind, ""))
}

// AccountsAndLeaf runs the server of [Accounts] as a hub with the domain "hub"
// and, connected to its account B, a leaf with the domain "ksds", where the
// mirror is to be. It returns once the origin's API answers at the leaf.
func AccountsAndLeaf(kind AccountsKind) (_ *Sites, err error) {
	s := &Sites{}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	hub := accountsConf(kind, hubDomain) + "leafnodes { listen: 127.0.0.1:-1, no_advertise: true }\n"
	if s.Hub, err = Start(hub); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	scheme, host, _ := strings.Cut(s.Hub.LeafURL(), "://")
	if s.Leaf, err = Start(leafConf(scheme + "://b:b@" + host)); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	nc, err := nats.Connect(s.Leaf.URL(), nats.Timeout(startTimeout))
	if err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	defer nc.Close()
	// All kinds share this one; the empty request is refused.
	if err = waitAnswer(nc, "JS.A.API.CONSUMER.CREATE.KV_demo"); err != nil {
		return nil, fmt.Errorf("leaf: %w", err)
	}
	return s, nil
}

func accountsConf(kind AccountsKind, domain string) string {
	var exports, imports strings.Builder
	service := func(subject, to string) {
		fmt.Fprintf(&exports, "      { service: %q, accounts: [B] }\n", subject)
		fmt.Fprintf(&imports, "      { service: { account: A, subject: %q }, to: %q }\n", subject, to)
	}
	stream := func(subject string) {
		fmt.Fprintf(&exports, "      { stream: %q, accounts: [B] }\n", subject)
		fmt.Fprintf(&imports, "      { stream: { account: A, subject: %q } }\n", subject)
	}

	service("$JS.API.CONSUMER.CREATE.KV_demo", "JS.A.API.CONSUMER.CREATE.KV_demo")
	service("$JS.API.CONSUMER.CREATE.KV_demo.>", "JS.A.API.CONSUMER.CREATE.KV_demo.>")
	if kind != CrossAccountNoDelivery {
		stream("deliver.B.>")
	}
	service("$KV.demo.>", "JS.A.API.$KV.demo.>")
	if kind != CrossAccountNoFlowControl {
		service("$JS.FC.>", "$JS.FC.>")
	}
	if kind != CrossAccountUnreadable {
		service("$JS.API.STREAM.INFO.KV_demo", "JS.A.API.STREAM.INFO.KV_demo")
	}

	return fmt.Sprintf(`
server_name: X
listen: 127.0.0.1:-1
accounts {
  A { jetstream: enabled, users: [ {user: a, password: a} ]
    exports: [
%s    ]
  }
  B { jetstream: enabled, users: [ {user: b, password: b} ]
    imports: [
%s    ]
  }
  SYS { users: [ {user: sys, password: sys} ] }
}
system_account: SYS
`, &exports, &imports) + jetStreamConf(domain)
}
