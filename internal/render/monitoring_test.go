package render

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"nats-kvmirror/internal/check"
)

// docs/monitoring.md names the metrics that there are, all of them and no other, and its
// alerts are in the form of Prometheus.
func TestMonitoringPage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	names := regexp.MustCompile(`nats_kvmirror_[a-z_]+`)
	there := map[string]bool{}
	for _, name := range names.FindAllString(metricsOf(t, inKsds(check.Critical)), -1) {
		there[name] = true
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("%s is not in the table", name)
		}
	}
	for _, name := range names.FindAllString(page, -1) {
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML", len(blocks))
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				For         time.Duration
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(blocks[0][1]))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) != 3 {
		t.Fatalf("alerts are %+v", rules)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Alert == "" || !names.MatchString(r.Expr) || r.For <= 0 || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("an alert is incomplete: %+v", r)
		}
		for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
			if !strings.Contains(metricsOf(t, inKsds(check.Critical)), label[1]+`="`) {
				t.Errorf("%s: there is no label %s", r.Alert, label[1])
			}
		}
	}
	var job map[string]any
	if err := yaml.Unmarshal([]byte(blocks[1][1]), &job); err != nil || job["kind"] != "CronJob" {
		t.Errorf("the CronJob is %v: %v", job["kind"], err)
	}
}
