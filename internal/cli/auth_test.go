package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"nats-kvmirror/internal/mirror"
	"nats-kvmirror/internal/natstest"
)

// Every way to log in: with it a mirror is made, compared and repaired, and
// without it nobody is let in.
func TestLogins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs := newCertificates(t, dir)
	user, seed := newKey(t, nkeys.CreateUser)
	seedFile := writeFile(t, dir, "user.nk", seed)
	operatorConf, creds := operator(t, dir)
	secure := func(more string) string {
		return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true%s }", certs.serverCert, certs.serverKey, certs.ca, more)
	}
	tlsArgs := []string{"--tlscert", certs.clientCert, "--tlskey", certs.clientKey, "--tlsca", certs.ca}
	tlsOpts := []nats.Option{nats.RootCAs(certs.ca), nats.ClientCert(certs.clientCert, certs.clientKey)}
	nkey, err := nats.NkeyOptionFromSeed(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, conf string
		args       []string
		opts       []nats.Option
		kind       mirror.Kind // without args
	}{
		{"user and password", "authorization { user: u, password: p }", []string{"--user", "u", "--password", "p"}, []nats.Option{nats.UserInfo("u", "p")}, kindAuthorization},
		{"token", "authorization { token: secret }", []string{"--token", "secret"}, []nats.Option{nats.Token("secret")}, kindAuthorization},
		{"user as token", "authorization { token: secret }", []string{"--user", "secret"}, []nats.Option{nats.Token("secret")}, kindAuthorization},
		{"nkey", fmt.Sprintf("authorization { users: [ { nkey: %s } ] }", user), []string{"--nkey", seedFile}, []nats.Option{nkey}, kindAuthorization},
		{"creds", operatorConf, []string{"--creds", creds}, []nats.Option{nats.UserCredentials(creds)}, kindAuthorization},
		{"tls", secure(""), tlsArgs, tlsOpts, kindUnreachable},
		{"tls first", secure(", handshake_first: true"), append([]string{"--tlsfirst"}, tlsArgs...), append([]nats.Option{nats.TLSHandshakeFirst()}, tlsOpts...), kindUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := natstest.Start("server_name: X\nlisten: 127.0.0.1:-1\njetstream { store_dir: \"{{dir}}\", max_memory_store: 64MB, max_file_store: 64MB }\n" + test.conf)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			nc, err := nats.Connect(s.URL(), append(test.opts, nats.Timeout(longest))...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(longest))
			if err != nil {
				t.Fatal(err)
			}
			kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "demo", LimitMarkerTTL: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
				t.Fatal(err)
			}
			at := append([]string{"--server", s.URL(), "--timeout", "20s"}, test.args...)
			runJSON(t, t.Context(), append(at, "add", "m", "--mirror", "demo", "--no-allow-msg-ttl", "--wait", "1m")...).mustBe(t, 0, mirror.Created, "")
			runJSON(t, t.Context(), append(at, "edit", "m", "--allow-msg-ttl", "--force")...).mustBe(t, 0, mirror.Updated, "")
			runFleet(t, t.Context(), append(at, "check", "m", "--content")...).mustBe(t, 0, mirror.Checked, "")
			runJSON(t, t.Context(), "info", "m", "--server", s.URL(), "--timeout", (3*brief).String()).mustBe(t, 1, mirror.Failed, test.kind)
		})
	}
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newKey makes a key pair and returns its public key and its seed.
func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (public string, seed []byte) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		t.Fatal(err)
	}
	return public, seed
}

// operator makes an operator with one account, and the credentials of a user in it; it
// returns the server's configuration and the file of the credentials. Beside it is one of
// the same user whose JWT has expired, expired.creds.
func operator(t *testing.T, dir string) (conf, creds string) {
	t.Helper()
	must := func(text string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	pairOf := func(seed []byte) nkeys.KeyPair {
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	op, opSeed := newKey(t, nkeys.CreateOperator)
	acc, accSeed := newKey(t, nkeys.CreateAccount)
	sys, _ := newKey(t, nkeys.CreateAccount)
	user, userSeed := newKey(t, nkeys.CreateUser)

	opClaims := jwt.NewOperatorClaims(op)
	opClaims.SystemAccount = sys
	accClaims := jwt.NewAccountClaims(acc)
	accClaims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	opJWT := must(opClaims.Encode(pairOf(opSeed)))
	accJWT := must(accClaims.Encode(pairOf(opSeed)))
	sysJWT := must(jwt.NewAccountClaims(sys).Encode(pairOf(opSeed)))
	userJWT := must(jwt.NewUserClaims(user).Encode(pairOf(accSeed)))
	config, err := jwt.FormatUserConfig(userJWT, userSeed)
	if err != nil {
		t.Fatal(err)
	}
	old := jwt.NewUserClaims(user)
	old.Expires = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC).Unix()
	oldConfig, err := jwt.FormatUserConfig(must(old.Encode(pairOf(accSeed))), userSeed)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "expired.creds", oldConfig)
	conf = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n", opJWT, sys, acc, accJWT, sys, sysJWT)
	return conf, writeFile(t, dir, "user.creds", config)
}

// certificates are files of certificates and keys that one authority has made.
type certificates struct{ ca, serverCert, serverKey, clientCert, clientKey string }

func newCertificates(t *testing.T, dir string) certificates {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(name string, template *x509.Certificate, key *ecdsa.PrivateKey) (cert, keyFile string) {
		der, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		cert = writeFile(t, dir, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		return cert, writeFile(t, dir, name+"-key.pem", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	}
	leaf := func(serial int64, name string) (cert, keyFile string) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return sign(name, &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, key)
	}
	var c certificates
	c.ca, _ = sign("ca", authority, caKey)
	c.serverCert, c.serverKey = leaf(2, "server")
	c.clientCert, c.clientKey = leaf(3, "client")
	return c
}
