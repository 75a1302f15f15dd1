// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package house

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEachAlertHasItsRunbook checks that each alert says how bad it is, what has
// happened, and where it stands what to do; that the place is there, and none is
// left over; and that promtool is told to see it fire and stay silent.
func TestEachAlertHasItsRunbook(t *testing.T) {
	rules := strings.Split(read(t, "packaging/restanted-alerts.yml"), "- alert: ")[1:]
	if len(rules) == 0 {
		t.Fatal("there are no alerts: the pattern is wrong")
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(read(t, "docs/alerts.md"), -1) {
		sections[m[1]] = true
	}
	tests := read(t, "packaging/restanted-alerts.test.yml")
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		if !regexp.MustCompile(`labels: \{severity: (critical|warning)\}\n`).MatchString(rule) || !strings.Contains(rule, "summary: ") {
			t.Errorf("%s lacks a severity or a summary", name)
		}
		// An anchor is the heading in lower case.
		if !strings.Contains(rule, "runbook: docs/alerts.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s does not lead to its section of docs/alerts.md", name)
		}
		if !sections[name] {
			t.Errorf("docs/alerts.md has no section %s", name)
		}
		delete(sections, name)
		for _, what := range []string{"fires", "stays silent"} {
			_, test, found := strings.Cut(tests, "- name: "+name+" "+what+"\n")
			test, _, _ = strings.Cut(test, "- name: ")
			if !found || !strings.Contains(test, "alertname: "+name+"\n") || strings.Contains(test, "exp_alerts: []") != (what == "stays silent") {
				t.Errorf("packaging/restanted-alerts.test.yml does not see that %s %s", name, what)
			}
		}
	}
	for name := range sections {
		t.Errorf("docs/alerts.md has a section %s, and there is no such alert", name)
	}
	for _, m := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(read(t, "docs/alerts.md"), -1) {
		if !regexp.MustCompile(`(?mi)^## ` + m[1] + `$`).MatchString(read(t, "docs/alerts.md")) {
			t.Errorf("docs/alerts.md leads to #%s, which is not there", m[1])
		}
	}
}

// TestDashboardHoldsTogether checks what Grafana relies on: each panel has a
// number of its own, a place of its own, and asks the data source that the
// person chose.
func TestDashboardHoldsTogether(t *testing.T) {
	type grid struct{ X, Y, W, H int }
	type source struct{ Type, UID string }
	var d struct {
		Title, UID string
		Templating struct {
			List []struct{ Name string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     grid
			Datasource  source
			Targets     []struct {
				RefID, Expr, LegendFormat string
				Datasource                source
			}
		}
	}
	if err := json.Unmarshal([]byte(read(t, "packaging/restanted-dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	if !variables["datasource"] || d.Title == "" || d.UID == "" || len(d.Panels) < 10 {
		t.Errorf("%q with %d panels and the variables %v", d.Title, len(d.Panels), variables)
	}
	chosen := source{"prometheus", "${datasource}"}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" {
			t.Errorf("panel %q has the number %d, which another one has too", p.Title, p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("panel %q does not fit: %+v", p.Title, g)
		}
		for _, o := range d.Panels[:i] {
			if a, b := p.GridPos, o.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q cover each other", p.Title, o.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("panel %q asks nobody, or %+v", p.Title, p.Datasource)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.LegendFormat == "" || target.Datasource != chosen {
				t.Errorf("panel %q: target %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !variables[m[1]] {
					t.Errorf("panel %q uses $%s, which is no variable", p.Title, m[1])
				}
			}
		}
	}
}
