// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"restante.example/internal/peers"
)

// packaging is the folder of the alerts and of the dashboard.
var packaging = filepath.Join("..", "..", "packaging")

// Promtool knows the rules, and sees each alert fire and stay silent.
func TestAlertRules(t *testing.T) {
	promtool := peers.Need(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "restanted-alerts.yml"},
		{"test", "rules", "restanted-alerts.test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = packaging
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// prometheus is a real one that scrapes a real restanted.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus scrapes a target once a second, with the alerts of the
// packaging, whose patience is taken away so that they fire at once.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	path, dir := peers.Need(t, "prometheus"), t.TempDir()
	rules, err := os.ReadFile(filepath.Join(packaging, "restanted-alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	hasty := regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAll(rules, nil)
	writeFile(t, filepath.Join(dir, "alerts.yml"), string(hasty))
	writeFile(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: restanted
    static_configs: [{targets: [%q]}]
`, target))
	p := &prometheus{t, fmt.Sprintf("http://127.0.0.1:%d", peers.Port(t))}
	cmd := exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+strings.TrimPrefix(p.url, "http://"))
	background(t, "prometheus", cmd, func() bool {
		r, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return p
}

// api asks Prometheus and returns its data, or why it did not understand.
func (p *prometheus) api(path string, parameters url.Values, data any) error {
	r, err := http.Get(p.url + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		p.t.Fatalf("%v: %s", err, text)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// query returns how many series an expression has now.
func (p *prometheus) query(expr string) (int, error) {
	var data struct{ Result []json.RawMessage }
	err := p.api("query", url.Values{"query": {expr}}, &data)
	return len(data.Result), err
}

// firing returns the names of the alerts that fire.
func (p *prometheus) firing() []string {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := p.api("alerts", nil, &data); err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, a := range data.Alerts {
		if a.State == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

// selector finds the metrics in an expression, with their labels.
var selector = regexp.MustCompile(`\b(?:restanted_\w+|process_\w+|go_\w+|up)\b(?:\{[^}]*\})?`)

// hasSeries checks that each metric that an expression names is there.
func (p *prometheus) hasSeries(what, expr string) {
	p.t.Helper()
	found := selector.FindAllString(expr, -1)
	if len(found) == 0 {
		p.t.Errorf("%s: no metric is in %s", what, expr)
	}
	for _, s := range found {
		if n, err := p.query(s); err != nil || n == 0 {
			p.t.Errorf("%s: there is no series %s: %v", what, s, err)
		}
	}
}

// TestPrometheus scrapes a server that has done everything once: each expression
// of the dashboard has a value, each metric in it and in the alerts is there, and
// what goes wrong then fires the alerts that are there for it.
func TestPrometheus(t *testing.T) {
	peers.Need(t, "prometheus")
	t.Parallel()
	dir := peers.Dir(t)
	o := startOffice(t, dir, "[metrics]\nlisten = \"127.0.0.1:0\"", "--lmtp", "127.0.0.1:0")
	o.add(t, "ana@example.org", "none")
	p := startPrometheus(t, o.Metrics)

	// Again and again, so that there is a rate.
	useOffice(t, o, "1")
	waitFor(t, "the first scrape", func() bool {
		n, err := p.query(`restanted_messages_retrieved_total > 0`)
		return err == nil && n == 1
	})
	useOffice(t, o, "2")
	waitFor(t, "a later scrape", func() bool {
		n, err := p.query(`rate(restanted_messages_retrieved_total[1m]) > 0`)
		return err == nil && n == 1
	})

	page, err := http.Get("http://" + o.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	lint := exec.CommandContext(t.Context(), peers.Need(t, "promtool"), "check", "metrics")
	lint.Stdin = page.Body
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	checkDashboard(t, p)
	rules, err := os.ReadFile(filepath.Join(packaging, "restanted-alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	exprs := regexp.MustCompile(`(?m)- alert: (\w+)\n +expr: (.*)$`).FindAllStringSubmatch(string(rules), -1)
	if len(exprs) == 0 {
		t.Fatal("no alert was found")
	}
	for _, m := range exprs {
		p.hasSeries(m[1], m[2])
	}
	// The machine of the test may have a full disk, and may be slow.
	ours := func() []string {
		return slices.DeleteFunc(p.firing(), func(name string) bool {
			return strings.HasPrefix(name, "RestantedDisk") || strings.HasSuffix(name, "Slow")
		})
	}
	if names := ours(); len(names) > 0 {
		t.Errorf("all is well, and %v fire", names)
	}

	fires := func(name string) {
		t.Helper()
		waitFor(t, name, func() bool { return slices.Contains(p.firing(), name) })
	}
	spoilMessage(t, o)
	fires("RestantedMessageDamaged")

	config := filepath.Join(dir, "restanted.toml")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, "nonsense = 1\n"+string(good))
	o.signal(t, syscall.SIGHUP)
	fires("RestantedReloadRefused")
	writeFile(t, config, string(good))
	o.signal(t, syscall.SIGHUP)
	waitFor(t, "the end of the alert", func() bool { return !slices.Contains(p.firing(), "RestantedReloadRefused") })

	waitFor(t, "the end of a probe that is under way", func() bool {
		err := os.Mkdir(filepath.Join(o.data, ".probe"), 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		return err == nil
	})
	writeFile(t, filepath.Join(o.data, ".probe", "in the way"), "")
	fires("RestantedNotReady")

	o.end(t, syscall.SIGTERM)
	fires("RestantedDown")
}

// checkDashboard asks everything that the dashboard asks.
func checkDashboard(t *testing.T, p *prometheus) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(packaging, "restanted-dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$job", "restanted", "$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr)
			asked++
			if n, err := p.query(expr); err != nil || n == 0 {
				t.Errorf("panel %q: %s has no value: %v", panel.Title, target.Expr, err)
			}
			p.hasSeries("panel "+panel.Title, expr)
		}
	}
	if asked < 20 {
		t.Errorf("only %d expressions were found", asked)
	}
}

// useOffice delivers, signs in rightly and wrongly, and collects.
func useOffice(t *testing.T, o *office, what string) {
	t.Helper()
	o.deliver(t, "Subject: kept "+what+"\r\n\r\nkept\r\n", "ana@example.org")
	o.deliver(t, "Subject: removed "+what+"\r\n\r\nremoved\r\n", "ana@example.org")
	for _, line := range []string{
		"USER ana@example.org\r\nPASS wrong\r\nQUIT\r\n",
		"USER ana@example.org\r\nPASS " + password + "\r\nTOP 1 0\r\nRETR 1\r\nDELE 2\r\nQUIT\r\n",
	} {
		conn, err := net.DialTimeout("tcp", o.POP3, patience)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// spoilMessage damages a message of ana's and asks for it.
func spoilMessage(t *testing.T, o *office) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(o.data, "mail", "example.org", "ana", "Maildir", "*", "*,S=*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no message: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, strings.ToUpper(string(text)))
	}
	conn, err := net.DialTimeout("tcp", o.POP3, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "USER ana@example.org\r\nPASS "+password+"\r\nRETR 1\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(answers), "\r\n.\r\n") {
		t.Fatalf("the damage was not noticed: %v\n%s", err, answers)
	}
}
