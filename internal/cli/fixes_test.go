package cli

import (
	"slices"
	"testing"

	"nats-kvmirror/internal/check"
	"nats-kvmirror/internal/mirror"
)

// What fixes several mirrors can be pasted: it names each with its domain, or, where they
// are many, means all that have the finding in the domains that have it.
func TestFixer(t *testing.T) {
	t.Parallel()
	mirrors := func(n int, domains ...string) []mirror.Member {
		var of []mirror.Member
		for i := range n {
			of = append(of, mirror.Member{Domain: domains[i%len(domains)], Bucket: string(rune('a' + i))})
		}
		return of
	}
	repair := check.Finding{Code: "ttl-off", Remedy: check.Repair}
	prune := check.Finding{Code: "left-over", Remedy: check.Prune, Advice: "think"}
	recreate := check.Finding{Code: "missing", Remedy: check.Recreate}
	limit := check.Finding{Code: "discard-old", Severity: check.Warning, Advice: "raise it"}
	several := &runtime{self: "kvm", domains: []string{"east", "west", "north", "south"}}
	one := &runtime{self: "nats kvmirror", globals: globals{domain: "east", context: "ops"}}
	for name, test := range map[string]struct {
		rt    *runtime
		f     check.Finding
		of    []mirror.Member
		named []string
		want  []string
	}{
		"one":                    {one, repair, mirrors(1, "east"), nil, []string{"nats kvmirror repair a --context ops --js-domain east"}},
		"one of several domains": {several, repair, mirrors(1, "west"), nil, []string{"kvm repair a --js-domain west"}},
		"two":                    {one, repair, mirrors(2, "east"), nil, []string{"nats kvmirror repair a b --only ttl-off --context ops --js-domain east"}},
		"two domains":            {several, prune, mirrors(3, "east", "west"), nil, []string{"kvm prune a c --js-domain east", "kvm prune b --js-domain west", "think"}},
		"many":                   {several, repair, mirrors(20, "east", "west"), nil, []string{"kvm repair --all --only ttl-off --domains east,west"}},
		"many of one domain":     {several, repair, mirrors(20, "west"), nil, []string{"kvm repair --all --only ttl-off --js-domain west"}},
		"many domains":           {several, prune, mirrors(4, several.domains...), nil, []string{"kvm prune --all --domains east,west,north,south", "think"}},
		"many, that were named":  {one, repair, mirrors(12, "east"), []string{"a"}, []string{"nats kvmirror repair a b c d e f g h i j k l --only ttl-off --context ops --js-domain east"}},
		"one by one": {several, recreate, mirrors(5, "east", "west"), nil,
			[]string{"kvm recreate a --js-domain east", "kvm recreate b --js-domain west", "kvm recreate c --js-domain east", "and so for 2 more"}},
		"another command":    {several, limit, mirrors(1, "west"), nil, []string{"kvm edit a --follow max-bucket-size --js-domain west", "raise it"}},
		"advice alone":       {several, check.Finding{Remedy: check.None, Advice: "think"}, mirrors(2, "west"), nil, []string{"think"}},
		"of the whole":       {several, check.Finding{Remedy: check.None, Advice: "think"}, nil, nil, []string{"think"}},
		"nothing to be done": {several, check.Finding{Remedy: check.None}, mirrors(2, "west"), nil, nil},
	} {
		if got := test.rt.fixer(test.named)(test.f, test.of); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
