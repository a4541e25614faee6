package check

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/findings.md")

// docs/findings.md is made from the table, from what the cases of the tests find, and
// from the texts that explain both.
func TestDocs(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "findings.md")
	want := findingsPage(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/findings.md is out of date; go test ./internal/check -run TestDocs -update writes it")
	}
}

func findingsPage(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# Findings

<!-- Made by go test ./internal/check -run TestDocs -update -->

What ` + "`check`" + ` finds, by code. Codes are stable: scripts and ` + "`--ignore`" + ` rely on them. The remedy is
the command that fixes the finding:

- ` + "`repair`" + `: an update of the mirror's settings,
- ` + "`prune`" + `: removing the messages that are left over on the mirror,
- ` + "`recreate`" + `: deleting the mirror and creating it again,
- ` + "`none`" + `: no command on the mirror; follow the advice.

Where the usual remedy does not help, the finding names another one: run what ` + "`check`" + ` prints.
What has the severity ok is worth knowing and no reason to worry; ` + "`check --json`" + ` has it.

| code | meaning | remedy |
|---|---|---|
`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| [`%[1]s`](#%[1]s) | %s | `%s` |\n", k.Code, k.Meaning, k.Remedy)
	}
	texts, examples := texts(), examples()
	for _, k := range Kinds() {
		e := texts[k.Code]
		if e.symptom == "" || e.cause == "" || len(examples[k.Code]) == 0 {
			t.Errorf("%s is not explained, or has no example", k.Code)
		}
		delete(texts, k.Code)
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n- Symptom: %s\n- Cause: %s\n- Fix: %s\n", k.Code, sentence(k.Meaning), e.symptom, e.cause, fix(k.Remedy, k.Advice))
		for _, other := range otherFixes(k, examples[k.Code]) {
			fmt.Fprintf(&b, "- Fix, where the finding says so: %s\n", other)
		}
		b.WriteString("\n```text\n")
		for _, f := range few(examples[k.Code]) {
			fmt.Fprintf(&b, "%s: %s [%s]\n", f.Severity, f.Message, f.Code)
		}
		b.WriteString("```\n")
	}
	for code := range texts {
		t.Errorf("%s is explained, and there is no such finding", code)
	}
	return b.String()
}

// sentence is a text that begins one.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// fix says what to do, in a sentence.
func fix(r Remedy, advice string) string {
	var parts []string
	if r != None {
		parts = append(parts, fmt.Sprintf("`nats-kvmirror %s MIRROR`", r))
	}
	if advice != "" {
		parts = append(parts, advice)
	}
	return strings.Join(parts, "; ") + "."
}

// otherFixes are the fixes of findings that are not the usual one of their kind.
func otherFixes(k Kind, findings []Finding) []string {
	var all []string
	for _, f := range findings {
		if other := fix(f.Remedy, f.Advice); other != fix(k.Remedy, k.Advice) && !slices.Contains(all, other) {
			all = append(all, other)
		}
	}
	return all
}

// few are some findings that are not the same: the first of each severity and, up to
// three, others; the worst first.
func few(findings []Finding) []Finding {
	var list []Finding
	add := func(wanted func(f Finding) bool) {
		for _, f := range findings {
			if wanted(f) {
				list = append(list, f)
			}
		}
	}
	add(func(f Finding) bool {
		return !slices.ContainsFunc(list, func(g Finding) bool { return g.Severity == f.Severity })
	})
	add(func(f Finding) bool {
		return len(list) < 3 && !slices.ContainsFunc(list, func(g Finding) bool { return g.Severity == f.Severity && g.Message == f.Message })
	})
	return worstFirst(list)
}

// examples are what is found in the cases of the tests, by code.
func examples() map[string][]Finding {
	found := map[string][]Finding{}
	add := func(code string, findings []Finding) {
		for _, f := range findings {
			if code == "" || code == f.Code {
				found[f.Code] = append(found[f.Code], f)
			}
		}
	}
	for _, cases := range []map[string][]findingCase{ttlCases(), linkCases(), messageCases(), settingCases(), usableCases()} {
		for _, code := range slices.Sorted(maps.Keys(cases)) {
			for _, c := range cases[code] {
				add(code, Findings(from(c.change), DefaultThresholds()))
			}
		}
	}
	for _, c := range remedyCases() {
		add(c.code, Findings(from(c.change), DefaultThresholds()))
	}
	for _, facts := range fleetExamples() {
		add("", FleetFindings(facts))
	}
	return found
}
