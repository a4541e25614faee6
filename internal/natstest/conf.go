package natstest

import "fmt"

// jetStreamConf gives every server a store of its own, and limits that do not
// depend on the machine.
func jetStreamConf(domain string) string {
	conf := `store_dir: "{{dir}}", max_memory_store: 256MB, max_file_store: 2GB`
	if domain != "" {
		conf += ", domain: " + domain
	}
	return "jetstream { " + conf + " }\n"
}

// hubConf does not advertise where leafnodes connect: a leaf that knew it would
// go around the proxy that it was linked through.
func hubConf() string {
	return `
server_name: HUB
listen: 127.0.0.1:-1
leafnodes { listen: 127.0.0.1:-1, no_advertise: true }
` + jetStreamConf(hubDomain)
}

func leafConf(hubURL string) string {
	return fmt.Sprintf(`
server_name: LEAF
listen: 127.0.0.1:-1
leafnodes { reconnect: "100ms", remotes: [ { urls: [%q] } ] }
`, hubURL) + jetStreamConf(leafDomain)
}

func restrictedLeafConf(hubURL string) string {
	return fmt.Sprintf(`
server_name: LEAF
listen: 127.0.0.1:-1
accounts {
  APP { jetstream: enabled, users: [
    {user: app, password: app}
    {user: lim, password: lim, permissions: { publish: { deny: ["$JS.hub.API.STREAM.INFO.KV_demo","$JS.API.STREAM.INFO.KV_m"] } } }
    {user: limsub, password: limsub, permissions: { publish: { allow: [">"] }, subscribe: { deny: ["_INBOX.>"] } } }
    {user: nolist, password: nolist, permissions: { publish: { deny: ["$JS.API.STREAM.LIST","$JS.hub.API.STREAM.LIST"] } } }
    {user: noread, password: noread, permissions: { publish: { deny: ["$JS.hub.API.CONSUMER.CREATE.>"] } } }
    {user: nowrite, password: nowrite, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>","$JS.API.STREAM.UPDATE.>","$JS.API.STREAM.DELETE.>","$JS.API.STREAM.PURGE.>"] } } }
    {user: limresp, password: limresp, permissions: { publish: { allow: ["$JS.API.>"] } } }
  ] }
  NOJS { users: [ {user: nojs, password: nojs} ] }
  OFF { jetstream: disabled, users: [ {user: offu, password: offu} ] }
  SYS { users: [ {user: sys, password: sys} ] }
}
system_account: SYS
leafnodes { reconnect: "100ms", remotes: [ { urls: [%q], account: APP } ] }
`, hubURL) + jetStreamConf(leafDomain)
}
