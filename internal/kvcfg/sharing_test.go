package kvcfg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSharing(t *testing.T) {
	const want = `# in the account of the origin, ORIGIN-ACCOUNT
exports: [
  { service: "$JS.API.STREAM.INFO.KV_demo", accounts: [MIRROR-ACCOUNT] } # reads the origin
  { service: "$JS.API.CONSUMER.CREATE.KV_demo", accounts: [MIRROR-ACCOUNT] } # lets the mirror copy
  { service: "$JS.API.CONSUMER.CREATE.KV_demo.>", accounts: [MIRROR-ACCOUNT] } # lets the mirror copy
  { service: "$JS.API.CONSUMER.DELETE.KV_demo.>", accounts: [MIRROR-ACCOUNT] } # cleans up after a comparison
  { service: "$JS.API.STREAM.MSG.GET.KV_demo", accounts: [MIRROR-ACCOUNT] } # finds what is still to come
  { service: "$JS.FC.>", accounts: [MIRROR-ACCOUNT] } # without it, the mirror stalls
  { stream: "deliver.B.>", accounts: [MIRROR-ACCOUNT] }
]
# in the account of the mirror, MIRROR-ACCOUNT
imports: [
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.API.STREAM.INFO.KV_demo" }, to: "JS.A.API.STREAM.INFO.KV_demo" }
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.API.CONSUMER.CREATE.KV_demo" }, to: "JS.A.API.CONSUMER.CREATE.KV_demo" }
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.API.CONSUMER.CREATE.KV_demo.>" }, to: "JS.A.API.CONSUMER.CREATE.KV_demo.>" }
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.API.CONSUMER.DELETE.KV_demo.>" }, to: "JS.A.API.CONSUMER.DELETE.KV_demo.>" }
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.API.STREAM.MSG.GET.KV_demo" }, to: "JS.A.API.STREAM.MSG.GET.KV_demo" }
  { service: { account: ORIGIN-ACCOUNT, subject: "$JS.FC.>" } }
  { stream: { account: ORIGIN-ACCOUNT, subject: "deliver.B.>" } }
]
`
	if got := (Origin{Bucket: "demo", APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}).Sharing(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOtherAccount(t *testing.T) {
	for prefix, want := range map[string]bool{"": false, "$JS.hub.API": false, "JS.A.API": true, "$JS.API.A": true, "hub": true} {
		if got := (Origin{Bucket: "demo", APIPrefix: prefix}).OtherAccount(); got != want {
			t.Errorf("%q: %t, want %t", prefix, got, want)
		}
	}
	if o := (Origin{Bucket: "demo", APIPrefix: "$JS.publisher.API", DeliverPrefix: "deliver.B"}); !o.OtherAccount() {
		t.Errorf("%v: it is in another account", o)
	}
}

// docs/accounts.md shows what is printed, for the accounts A and B.
func TestAccountsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "accounts.md"))
	if err != nil {
		t.Fatal(err)
	}
	sharing := (Origin{Bucket: "demo", APIPrefix: "JS.A.API", DeliverPrefix: "deliver.B"}).Sharing()
	sharing = strings.NewReplacer(OriginAccount, "A", MirrorAccount, "B").Replace(sharing)
	if !strings.Contains(string(page), "```conf\n"+sharing+"```\n") {
		t.Errorf("docs/accounts.md does not have\n%s", sharing)
	}
}
