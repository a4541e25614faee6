package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/natstest"
)

// route is a way from a user to the mirror and its origin.
type route struct {
	name           string
	mirror, origin string   // the prefixes of the two APIs, as permissions see them
	places         []place  // what holds there
	flags          []string // of the connection
	external       map[string]any
	add            []string // of add, beside --mirror
	// start runs the servers, with users in the account that the command runs in. The
	// addresses are those of the users, and of users who may do all where the mirror
	// and where the origin is.
	start func(t *testing.T, users string) (url, mirror, origin string)
}

const permissionAdmin = "{user: admin, password: admin}\n"

func routes() []route {
	hub := map[string]any{"api": "$JS.hub.API"}
	return []route{{
		name: "one account", mirror: "$JS.API", origin: "$JS.API", places: []place{here, originHere},
		start: func(t *testing.T, users string) (string, string, string) {
			s := permissionServer(t, "X", "", "accounts { APP { jetstream: enabled, users: [ "+permissionAdmin+users+" ] } }")
			return s.URL(), asAdmin(s), asAdmin(s)
		},
	}, {
		name: "site", mirror: "$JS.API", origin: "$JS.hub.API", places: []place{here, apart, originOver}, external: hub, add: []string{"--mirror-domain", "hub"},
		start: func(t *testing.T, users string) (string, string, string) {
			hub, leaf := permissionSites(t, "", users)
			return leaf.URL(), asAdmin(leaf), asAdmin(hub)
		},
	}, {
		name: "hub", mirror: "$JS.ksds.API", origin: "$JS.API", places: []place{over, apart, originHere}, external: hub,
		flags: []string{"--js-domain", "ksds"}, add: []string{"--mirror-domain", "hub"},
		start: func(t *testing.T, users string) (string, string, string) {
			hub, leaf := permissionSites(t, users, "")
			return hub.URL(), asAdmin(leaf), asAdmin(hub)
		},
	}, {
		name: "import", mirror: "$JS.API", origin: "JS.A.API", places: []place{here, apart, originHere}, external: map[string]any{"api": "JS.A.API", "deliver": "deliver.B"},
		add:   []string{"--mirror-api-prefix", "JS.A.API", "--mirror-deliver-prefix", "deliver.B"},
		start: permissionAccounts,
	}}
}

func permissionServer(t *testing.T, name, domain, conf string) *natstest.Server {
	t.Helper()
	s, err := natstest.Start("server_name: " + name + "\nlisten: 127.0.0.1:-1\njetstream { store_dir: \"{{dir}}\", max_memory_store: 256MB, max_file_store: 1GB" + domain + " }\n" + conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func asAdmin(s *natstest.Server) string { return "nats://admin:admin@" + s.Addr() }

func permissionSites(t *testing.T, hubUsers, leafUsers string) (hub, leaf *natstest.Server) {
	t.Helper()
	const app = "accounts { APP { jetstream: enabled, users: [ %s ] } }"
	hub = permissionServer(t, "HUB", ", domain: hub", "leafnodes { listen: 127.0.0.1:-1, no_advertise: true }\n"+fmt.Sprintf(app, permissionAdmin+hubUsers))
	scheme, host, _ := strings.Cut(hub.LeafURL(), "://")
	remote := fmt.Sprintf("leafnodes { reconnect: \"100ms\", remotes: [ { urls: [%q], account: APP } ] }\n", scheme+"://admin:admin@"+host)
	return hub, permissionServer(t, "LEAF", ", domain: ksds", remote+fmt.Sprintf(app, permissionAdmin+leafUsers))
}

// permissionAccounts shares what `add` says that the accounts have to share.
func permissionAccounts(t *testing.T, users string) (url, mirror, origin string) {
	t.Helper()
	shared := kvcfg.Origin{Bucket: "demo", APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}
	text := strings.NewReplacer(kvcfg.OriginAccount, "A", kvcfg.MirrorAccount, "B").Replace(shared.Sharing())
	exports, imports, _ := strings.Cut(text, "# in the account of the mirror")
	s := permissionServer(t, "X", "", fmt.Sprintf("accounts {\n A { jetstream: enabled, users: [ {user: a, password: a} ]\n%s }\n B { jetstream: enabled, users: [ %s ]\n#%s }\n}", exports, permissionAdmin+users, imports))
	return s.URL(), asAdmin(s), "nats://a:a@" + s.Addr()
}

// permissionLab plays rows on one route.
type permissionLab struct {
	route
	url            string
	mirror, origin *nats.Conn
	users          strings.Builder
}

// publish is what a row's user may publish to, without that at the index left out.
func (l *permissionLab) publish(r permissionRow, without int) []string {
	subjects := []string{"nothing"}
	for i, p := range r.publish {
		if i != without && l.has(p.only) {
			subjects = append(subjects, l.subject(p.subject))
		}
	}
	return subjects
}

func (l *permissionLab) has(p place) bool {
	if p == everywhere {
		return true
	}
	for _, have := range l.places {
		if have == p {
			return true
		}
	}
	return false
}

func (l *permissionLab) subject(s string) string {
	switch {
	case strings.HasPrefix(s, "M."):
		return l.route.mirror + s[1:]
	case strings.HasPrefix(s, "O."):
		return l.route.origin + s[1:]
	}
	return s
}

// subscribe is what a row's user may subscribe to.
func (l *permissionLab) subscribe(r permissionRow) []string {
	if l.name == "import" && r.walks {
		return []string{"_INBOX.>", "deliver.B.>"}
	}
	return []string{"_INBOX.>"}
}

// user declares a user.
func (l *permissionLab) user(name string, publish, subscribe []string) {
	fmt.Fprintf(&l.users, "{user: %s, password: %s, permissions: { publish: { allow: [\"%s\"] }, subscribe: { allow: [\"%s\"] } } }\n",
		name, name, strings.Join(publish, `", "`), strings.Join(subscribe, `", "`))
}

// prepare makes the state that a row's command finds: "none", an origin alone; "plain",
// a mirror as other tools make it; "ttl", one that follows; "filtered"; "full", with
// more than is sent without an answer; "left over"; "lost", without an origin.
func (l *permissionLab) prepare(t *testing.T, state, bucket string) {
	t.Helper()
	for _, name := range []string{"m", "copy", "demo"} {
		_, _ = l.mirror.Request("$JS.API.STREAM.DELETE.KV_"+name, nil, longest)
	}
	_, _ = l.origin.Request("$JS.API.STREAM.DELETE.KV_demo", nil, longest)
	config := map[string]any{
		"name": "KV_demo", "subjects": []string{"$KV.demo.>"}, "storage": "memory", "max_msgs_per_subject": 1, "max_bytes": -1, "max_msgs": -1,
		"max_msg_size": -1, "discard": "new", "deny_delete": true, "allow_rollup_hdrs": true, "allow_direct": true, "allow_msg_ttl": true, "subject_delete_marker_ttl": time.Minute,
	}
	askAPI(t, l.origin, "STREAM.CREATE.KV_demo", config, &struct{}{})
	n := 3
	if state == "full" {
		n = 3000
	}
	for i := range n - 1 {
		_ = l.origin.Publish(fmt.Sprintf("$KV.demo.a.%d", i), make([]byte, 1024))
	}
	if _, err := l.origin.Request("$KV.demo.last", nil, longest); err != nil {
		t.Fatal(err)
	}
	if state == "none" {
		return
	}
	mirror := map[string]any{"name": "KV_demo"}
	if l.external != nil {
		mirror["external"] = l.external
	}
	last := uint64(n)
	if state == "filtered" {
		mirror["filter_subject"], last = "$KV.demo.a.>", uint64(n-1)
	}
	delete(config, "subjects")
	delete(config, "subject_delete_marker_ttl")
	config["name"], config["mirror"], config["mirror_direct"], config["allow_msg_ttl"] = "KV_"+bucket, mirror, true, state != "plain"
	askAPI(t, l.mirror, "STREAM.CREATE.KV_"+bucket, config, &struct{}{})
	waitUntil(t, "the mirror has all of its origin", func() bool {
		is := readStream(t, l.mirror, bucket)
		return is.State.Last == last && is.connected()
	})
	switch state {
	case "left over":
		askAPI(t, l.origin, "STREAM.PURGE.KV_demo", map[string]any{"filter": "$KV.demo.a.1"}, &struct{}{})
	case "lost":
		askAPI(t, l.origin, "STREAM.DELETE.KV_demo", nil, &struct{}{})
	}
}

// run plays a row's command as a user.
func (l *permissionLab) run(t *testing.T, r permissionRow, user string) (code int, said string) {
	t.Helper()
	bucket := "m"
	if r.args[0] == "promote" && r.args[1] == "demo" {
		bucket = "demo"
	}
	l.prepare(t, r.state, bucket)
	args := append(append([]string{}, r.args...), "--server", l.url, "--user", user, "--password", user)
	args = append(args, l.flags...)
	if r.args[0] == "add" {
		// A server that was just told to delete a stream may be about to remove its files.
		args = append(append(args, l.add...), "--storage", "memory")
	}
	began := time.Now()
	code, out, errs := runText(t, t.Context(), args...)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%v as %s took %v", r.args, user, took)
	}
	return code, out + errs
}

// playPermissions plays rows on a route, with exactly what they say, and without each.
func playPermissions(t *testing.T, on route, rows []permissionRow) {
	l := &permissionLab{route: on}
	for i, r := range rows {
		l.user(fmt.Sprintf("all%d", i), l.publish(r, -1), l.subscribe(r))
		for k := range r.publish {
			l.user(fmt.Sprintf("pub%d.%d", i, k), l.publish(r, k), l.subscribe(r))
		}
		for k, sub := range l.subscribe(r) {
			others := []string{"nothing"}
			for _, s := range l.subscribe(r) {
				if s != sub {
					others = append(others, s)
				}
			}
			l.user(fmt.Sprintf("sub%d.%d", i, k), l.publish(r, -1), others)
		}
	}
	url, mirror, origin := on.start(t, l.users.String())
	l.url, l.mirror, l.origin = url, connectTo(t, mirror), connectTo(t, origin)
	user := connectTo(t, strings.Replace(url, "nats://", "nats://admin:admin@", 1))
	for _, prefix := range []string{l.route.mirror, l.route.origin} {
		if strings.HasPrefix(prefix, "$JS.") { // an import has no INFO
			waitUntil(t, "the API answers", func() bool { _, err := user.Request(prefix+".INFO", nil, time.Second); return err == nil })
		}
	}
	for i, r := range rows {
		if r.not != everywhere && on.name == "one account" {
			continue
		}
		t.Run(r.name(), func(t *testing.T) {
			code, whole := l.run(t, r, fmt.Sprintf("all%d", i))
			if code != 0 || strings.Contains(whole, "permission denied") || !strings.Contains(whole, r.says) || r.says == "" && strings.Contains(whole, "scratch mirror") {
				t.Errorf("with all permissions: exit code %d\n%s", code, whole)
			}
			for k, p := range r.publish {
				if !l.has(p.only) {
					continue
				}
				code, said := l.run(t, r, fmt.Sprintf("pub%d.%d", i, k))
				fails := p.without == "" && p.note == ""
				if fails != (code != 0) || fails && !strings.Contains(said, "permission denied") || !strings.Contains(said, p.without) || p.without != "" && strings.Contains(whole, p.without) {
					t.Errorf("without %s: exit code %d\n%s", p.subject, code, said)
				}
			}
			for k, s := range l.subscribe(r) {
				if code, said := l.run(t, r, fmt.Sprintf("sub%d.%d", i, k)); code == 0 || !strings.Contains(said, "may not subscribe to the inbox") {
					t.Errorf("without subscribing to %s: exit code %d\n%s", s, code, said)
				}
			}
		})
	}
}

// A small part of what docs/permissions.md says; TestFaultsPermissions plays all of it.
func TestPermissions(t *testing.T) {
	t.Parallel()
	rows := permissionRows()
	playPermissions(t, routes()[0], append(rows[:1:1], rows[4]))
}
