package status_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	rulesFile     = "../../deploy/prometheus/rules.yaml"
	rulesTestFile = "../../deploy/prometheus/rules_test.yaml"
	dashboardFile = "../../deploy/grafana/dashboard.json"
)

// A ruleFile is as much of a file of rules as is tested here.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct{ Record, Alert, Expr string }
	}
}

func readYAML(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

// queries returns the expressions of the rules and of the dashboard, each under the
// name of what it is for, and the names that rules record.
func queries(t *testing.T) (exprs map[string]string, recorded []string) {
	t.Helper()
	exprs = map[string]string{}
	var rules ruleFile
	readYAML(t, rulesFile, &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			exprs["rule "+r.Record+r.Alert] = r.Expr
			if r.Record != "" {
				recorded = append(recorded, r.Record)
			}
		}
	}
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board any
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	inDashboard(board, "dashboard", exprs)
	if len(exprs) < 40 {
		t.Errorf("got %d queries, want those of the rules and of the dashboard", len(exprs))
	}
	return exprs, recorded
}

// inDashboard collects the queries below a value.
func inDashboard(value any, at string, exprs map[string]string) {
	switch value := value.(type) {
	case []any:
		for i, v := range value {
			inDashboard(v, fmt.Sprintf("%s.%d", at, i), exprs)
		}
	case map[string]any:
		if title, ok := value["title"].(string); ok {
			at += " " + title
		}
		for key, v := range value {
			text, isText := v.(string)
			if isText && (key == "expr" || key == "query" && strings.Contains(text, "globus_runner_")) {
				exprs[at+"."+key] = text
			}
			inDashboard(v, at+"."+key, exprs)
		}
	}
}

// TestQueriesNameWhatIsServed holds rules and dashboard against /metrics: names, and
// the labels that they select by.
func TestQueriesNameWhatIsServed(t *testing.T) {
	types, labels := map[string]string{}, map[string][]string{}
	text := string(page(t, full()))
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		types[m[1]] = m[2]
	}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)\{(.*)\} `).FindAllStringSubmatch(text, -1) {
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			labels[m[1]] = append(labels[m[1]], l[1])
		}
	}
	exprs, recorded := queries(t)
	name := regexp.MustCompile(`((?:\w+:)?(?:globus_runner|process|go)_[\w:]+)(\{[^}]*\})?`)
	for at, expr := range exprs {
		for _, m := range name.FindAllStringSubmatch(expr, -1) {
			base := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if b, ok := strings.CutSuffix(base, suffix); ok && types[b] == "histogram" {
					base = b
				}
			}
			if types[base] == "" && !slices.Contains(recorded, base) {
				t.Errorf("%s: nobody serves or records %s", at, m[1])
			}
			for _, l := range regexp.MustCompile(`(\w+)[=!]`).FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(labels[m[1]], l[1]) {
					t.Errorf("%s: %s has no label %s", at, m[1], l[1])
				}
			}
		}
	}
}

// TestEveryAlertIsTriedAndDocumented demands for each alert a moment at which it fires,
// one at which it does not, and its line in docs/metrics.md.
func TestEveryAlertIsTriedAndDocumented(t *testing.T) {
	var rules ruleFile
	readYAML(t, rulesFile, &rules)
	var tried struct {
		Tests []struct {
			Cases []struct {
				Alertname string
				Fires     []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, rulesTestFile, &tried)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tried.Tests {
		for _, c := range test.Cases {
			fires[c.Alertname] = fires[c.Alertname] || len(c.Fires) > 0
			silent[c.Alertname] = silent[c.Alertname] || len(c.Fires) == 0
		}
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, alerts []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(GlobusRunner\\w+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r.Alert)
			}
			if r.Alert != "" && (!fires[r.Alert] || !silent[r.Alert]) {
				t.Errorf("%s: tried where it fires: %t, where it does not: %t", r.Alert, fires[r.Alert], silent[r.Alert])
			}
		}
	}
	if len(alerts) == 0 || !slices.Equal(alerts, documented) {
		t.Errorf("docs/metrics.md has the alerts %q, the rules have %q", documented, alerts)
	}
}

// promtool runs Prometheus's own checks.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; Debian has it in the package prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFireWherePrometheusSaysSo(t *testing.T) {
	promtool(t, "test", "rules", rulesTestFile)
}

// TestPrometheusReadsEveryQuery has Prometheus parse the queries of the rules, of the
// dashboard, and of the table in docs/metrics.md.
func TestPrometheusReadsEveryQuery(t *testing.T) {
	exprs, _ := queries(t)
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if m := metricRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			exprs["docs "+m[1]] = m[4]
		}
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	filled := strings.NewReplacer("$job", "nightly", "$__rate_interval", "5m")
	for at, expr := range exprs {
		if !strings.HasPrefix(expr, "label_values(") { // Grafana's own
			rules = append(rules, rule{fmt.Sprintf("query_%d", len(rules)), filled.Replace(expr) + " # " + at})
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	doc, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "all", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, doc, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}
