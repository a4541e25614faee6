package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"nats-kvmirror/internal/natstest"
)

// hinted makes sure that a command fails with a message and a hint.
func hinted(t *testing.T, says, hint string, args ...string) {
	t.Helper()
	code, _, errs := runText(t, t.Context(), args...)
	if code == exitOK || !strings.Contains(errs, says) || !strings.Contains(errs, "hint: "+hint) {
		t.Errorf("%q: exit code %d, want %q and the hint %q in\n%s", args, code, says, hint, errs)
	}
}

// startWith runs a server with JetStream until the test ends.
func startWith(t *testing.T, conf string) *natstest.Server {
	t.Helper()
	s, err := natstest.Start("server_name: X\nlisten: 127.0.0.1:-1\njetstream { store_dir: \"{{dir}}\", max_memory_store: 10MB, max_file_store: 10MB }\n" + conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// What a server refuses for the limits of an account comes with the flag that helps.
func TestLimitHints(t *testing.T) {
	t.Parallel()
	s := startWith(t, `
accounts {
  NEEDS { jetstream { max_mem: 1MB, max_file: 5MB, max_bytes_required: true }, users: [ { user: needs, password: needs } ] }
  ONE { jetstream { max_streams: 1, max_mem: 1MB, max_file: 1MB }, users: [ { user: one, password: one } ] }
  SMALL { jetstream { max_mem: 1MB, max_file: 1MB }, users: [ { user: small, password: small } ] }
  INBOX { jetstream: enabled, users: [ { user: inbox, password: inbox, permissions: { subscribe: { allow: "mine.>" } } } ] }
}`)
	at := func(user string, args ...string) []string {
		return append(args, "--server", "nats://"+user+":"+user+"@"+s.Addr())
	}
	for _, user := range []string{"needs", "one", "small"} {
		keyValue(t, "nats://"+user+":"+user+"@"+s.Addr(), jetstream.KeyValueConfig{Bucket: "demo", MaxBytes: 100_000})
	}
	add := []string{"add", "m", "--mirror", "demo"}
	hinted(t, "(10113)", "add --max-bucket-size SIZE", at("needs", add...)...)
	hinted(t, "(10027)", "`nats account info` shows", at("one", add...)...)
	hinted(t, "(10047)", "`nats account info` shows what is used and reserved of how much; reserve less with --max-bucket-size SIZE or --replicas 1, or store a new mirror elsewhere with --storage memory",
		at("small", append(add, "--max-bucket-size", "5M")...)...)
	hinted(t, "(10028)", "`nats account info` shows", at("small", append(add, "--max-bucket-size", "5M", "--storage", "memory")...)...)
	hinted(t, "(10074)", "add --replicas 1", at("small", append(add, "--replicas", "3")...)...)
	hinted(t, "may not subscribe to the inbox", "the user needs permission to subscribe to inboxes, as _INBOX.>; if it has it for others, name their prefix with --inbox-prefix PREFIX", at("inbox", "ls")...)
	if code, _, errs := runText(t, t.Context(), at("inbox", "ls", "--inbox-prefix", "mine")...); code != exitOK {
		t.Errorf("with another inbox: %s", errs)
	}
}

// The same where it takes a cluster to be refused: here somebody answers as its servers do.
func TestClusterHints(t *testing.T) {
	t.Parallel()
	sites := plainSites(t)
	nc := connectTo(t, sites.Leaf.URL())
	for _, test := range []struct {
		code       int
		text, hint string
	}{
		{10005, "no suitable peers for placement", "no servers fit --cluster, --tags and --replicas"},
		{10008, "JetStream system temporarily unavailable", "the cluster has no leader"},
		{10118, "stream is offline", "the servers that host it are down"},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			prefix := fmt.Sprintf("FAKE%d", test.code)
			if _, err := nc.Subscribe(prefix+".>", func(m *nats.Msg) {
				_ = m.Respond(fmt.Appendf(nil, `{"type":"x","error":{"code":503,"err_code":%d,"description":%q}}`, test.code, test.text))
			}); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			hinted(t, test.text, test.hint, "edit", "m", "--history", "3", "-f", "--server", sites.Leaf.URL(), "--js-api-prefix", prefix, "--timeout", brief.String())
		})
	}
	hinted(t, "(10021)", "it is the prefix of the mirror's own domain: name the origin's with --mirror-domain DOMAIN",
		"add", "m", "--mirror", "plain", "--mirror-api-prefix", "$JS.API", "--js-domain", "hub", "--allow-msg-ttl", "--server", sites.Leaf.URL())
}

// A connection that fails for TLS, or for credentials that have expired, comes with the
// flag that helps.
func TestConnectionHints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs, other := newCertificates(t, dir), newCertificates(t, t.TempDir())
	operatorConf, creds := operator(t, dir)
	secure := func(more string) *natstest.Server {
		return startWith(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q%s }", certs.serverCert, certs.serverKey, more))
	}
	plain, oneSided := startWith(t, ""), secure("")
	bothSided, first := secure(fmt.Sprintf(", ca_file: %q, verify: true", certs.ca)), secure(", handshake_first: true")
	ca := []string{"--tlsca", certs.ca}
	for _, test := range []struct {
		name, url  string
		args       []string
		says, hint string
	}{
		{"no authority", oneSided.URL(), nil, "certificate signed by unknown authority", "name the file with the certificate of the server's authority with --tlsca FILE"},
		{"another name", strings.Replace(oneSided.URL(), "127.0.0.1", "localhost", 1), ca, "localhost", "name the server in --server as its certificate does"},
		{"no certificate", bothSided.URL(), ca, "tls", "the server wants a certificate of yours that it trusts: name it with --tlscert FILE and --tlskey FILE"},
		{"another certificate", bothSided.URL(), append(ca, "--tlscert", other.clientCert, "--tlskey", other.clientKey), "tls", "the server wants a certificate"},
		{"no TLS", plain.URL(), ca, "secure connection not available", "the server has no TLS: leave --tlsca, --tlscert and --tlskey out"},
		{"no TLS first", plain.URL(), append(ca, "--tlsfirst"), "first record does not look like a TLS handshake", "the server does not begin with the TLS handshake: leave --tlsfirst out"},
		{"TLS first", first.URL(), append(ca, "--timeout", "500ms"), "no answer in time", "a longer --timeout may help; a server that begins with the TLS handshake needs --tlsfirst"},
		{"expired", startWith(t, operatorConf).URL(), []string{"--creds", filepath.Join(filepath.Dir(creds), "expired.creds")},
			"the user's credentials expired at 2020-01-02T03:04:05Z", "get new credentials, and name their file with --creds FILE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hinted(t, test.says, test.hint, append([]string{"ls", "--server", test.url}, test.args...)...)
		})
	}
}
