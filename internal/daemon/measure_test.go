// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/config"
)

// measured is a server with metrics.
type measured struct {
	*life
	t     *testing.T
	ready Ready
	url   string
}

func beginMeasured(t *testing.T) *measured {
	t.Helper()
	c := testConfig(t, config.Flags{})
	c.Metrics.Listen = "127.0.0.1:0"
	m := &measured{t: t}
	m.ready, m.life = begin(t, c)
	m.url = "http://" + m.ready.Metrics
	return m
}

// get returns the status and the body of a page.
func (m *measured) get(path string) (int, string) {
	m.t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(m.url + path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// await asks until the server has got round to it.
func (m *measured) await(path, text string) string {
	m.t.Helper()
	for range 500 {
		if _, body := m.get(path); strings.Contains(body, text) {
			return body
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, body := m.get(path)
	m.t.Fatalf("%s does not come to say %q:\n%s", path, text, body)
	return ""
}

// What happens is counted, and neither a name nor an address nor a secret of
// anybody is in it.
func TestMetrics(t *testing.T) {
	m := beginMeasured(t)
	const user, password, device, recipient, typed = "planteduser", "plantedpassword", "planteddevice", "plantedlocal@planted.example", "plantedguess"
	op := m.server.Operations()
	if err := op.Call(t.Context(), OpUserAdd, UserArgs{Name: user, Password: password}, nil, nil); err != nil {
		t.Fatal(err)
	}
	var dp DevicePassword
	if err := op.Call(t.Context(), OpDeviceAdd, DeviceArgs{User: user, Name: device}, nil, &dp); err != nil {
		t.Fatal(err)
	}

	out := dial(t, m.ready.LMTP)
	out.say("LHLO plantedclient.example\r\nMAIL FROM:<plantedsender@example.net>\r\nRCPT TO:<" + user + "@localhost>\r\nRCPT TO:<" + recipient + ">\r\nDATA\r\n")
	out.expect("550")
	out.expect("354")
	out.say("Subject: plantedsubject\r\n\r\nbody\r\n.\r\nQUIT\r\n")
	out.expect("250 2.1.5")

	wrong := dial(t, m.ready.POP3)
	wrong.say("USER " + user + "\r\nPASS " + typed + "\r\nAUTH PLANTEDMECHANISM\r\nQUIT\r\n")
	wrong.expect("-ERR [AUTH]")
	in := dial(t, m.ready.POP3)
	in.say("USER " + user + "\r\nPASS " + password + "\r\nTOP 1 0\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
	in.expect("+OK 1 messages")
	if _, err := io.Copy(io.Discard, in.in); err != nil {
		t.Error(err)
	}
	safe, err := tls.Dial("tcp", m.ready.POP3S, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer safe.Close()
	if _, err := fmt.Fprintf(safe, "USER %s\r\nPASS %s\r\n", user, dp.Password); err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, m.ready.POP3)
	waiting.expect("+OK")

	m.await("/metrics", `restanted_sessions{tls="TLS 1.3"} 1`)
	body := m.await("/metrics", `restanted_connections_ended_total{reason="quit"} 2`)
	for _, want := range []string{
		`restanted_connections_accepted_total{service="pop3"} 3`,
		`restanted_connections_accepted_total{service="pop3s"} 1`,
		`restanted_connections_accepted_total{service="lmtp"} 1`,
		`restanted_connections{state="signed in"} 1`,
		`restanted_connections{state="waiting"} 1`,
		`restanted_connections_limit{of="pop3"} 10000`,
		`restanted_signins_total{mechanism="USER",tls="none"} 1`,
		`restanted_signins_total{mechanism="USER",tls="TLS 1.3"} 1`,
		`restanted_signins_refused_total{mechanism="USER",reason="credentials"} 1`,
		`restanted_signin_seconds_count{result="accepted"} 2`,
		`restanted_signin_seconds_count{result="refused"} 1`,
		`restanted_guard_delay_seconds_count 3`,
		`restanted_messages_retrieved_total 1`,
		`restanted_messages_top_total 1`,
		`restanted_messages_removed_total 1`,
		`restanted_removals_failed_total 0`,
		`restanted_retr_seconds_count 1`,
		`restanted_retr_open_seconds_count 1`,
		`restanted_quit_commit_seconds_count 1`,
		`restanted_deliveries_total{result="delivered"} 1`,
		`restanted_deliveries_total{result="no such user"} 1`,
		`restanted_delivery_commit_seconds_count 1`,
		`restanted_password_slots_taken 0`,
		`restanted_password_queue_full_total 0`,
		`restanted_messages_damaged_total 0`,
		`restanted_config_reload_success 1`,
		`restanted_ready{check="store"} 1`,
		`restanted_build_info{goversion="go`,
		`restanted_disk_free_octets{of="mail"} `,
		`restanted_certificate_expiry_timestamp_seconds `,
		`go_goroutines `,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, never := range []string{"planted", "PLANTED", user, password, dp.Password, "127.0.0.1", "localhost"} {
		if strings.Contains(body, never) {
			t.Errorf("/metrics shows %q", never)
		}
	}
	if t.Failed() {
		t.Logf("/metrics:\n%s", body)
	}
}

func TestReadiness(t *testing.T) {
	m := beginMeasured(t)
	if status, body := m.get("/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d %s", status, body)
	}
	status, body := m.get("/readyz")
	if want := "ready\nrunning: ok\nlisteners: ok\njournals: ok\nstore: ok\ndirectory: ok\n"; status != http.StatusOK || body != want {
		t.Errorf("/readyz: %d\n%s, want\n%s", status, body, want)
	}
	if _, err := os.Stat(filepath.Join(m.conf.Data, probeName)); err == nil {
		t.Error("the probe stays in the data directory")
	}
	for _, path := range []string{"/nothing", "/debug/pprof/"} {
		if status, _ := m.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	post, err := http.Post(m.url+"/readyz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	post.Body.Close()
	if post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", post.StatusCode)
	}

	again := func() { // what was found a moment ago is not believed
		m.server.measuring.probe.mu.Lock()
		m.server.measuring.probe.found = nil
		m.server.measuring.probe.mu.Unlock()
	}
	fails := func(check string) {
		t.Helper()
		again()
		if status, body := m.get("/readyz"); status != http.StatusServiceUnavailable || !strings.HasPrefix(body, "not ready\n") ||
			!strings.Contains(body, "\n"+check) || strings.Count(body, ": ok\n") != 4 {
			t.Errorf("/readyz: %d\n%s, want %q to fail", status, body, check)
		}
	}
	again()
	m.get("/readyz")
	// Nobody can write where a directory stands.
	if err := os.MkdirAll(filepath.Join(m.conf.Data, probeName, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	fails("store: cannot be written to")
	fails("store: cannot be written to")
	if err := os.RemoveAll(filepath.Join(m.conf.Data, probeName)); err != nil {
		t.Fatal(err)
	}
	again()
	m.get("/readyz")
	for _, line := range []string{"the store is not ready", "the store is ready again"} {
		if n := strings.Count(m.log.String(), line); n != 1 {
			t.Errorf("the log says %d times that %s", n, line)
		}
	}

	addUser(t, m.server, "ana")
	// A server that stops says so as long as something goes on.
	lmtp := dial(t, m.ready.LMTP)
	lmtp.say("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ana@localhost>\r\nDATA\r\n")
	lmtp.expect("354")
	again()
	if status, body := m.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d\n%s", status, body)
	}
	m.signals <- syscall.SIGTERM
	body = m.await("/readyz", "running: the server is stopping")
	if !strings.HasPrefix(body, "not ready") {
		t.Error(body)
	}
	m.await("/readyz", "listeners: ")
	lmtp.say("x\r\n.\r\nQUIT\r\n")
	lmtp.expect("250 2.1.5")
	m.wait(t)
	if _, err := net.Dial("tcp", m.ready.Metrics); err == nil {
		t.Error("metrics are still answered")
	}
}

func TestDirectoryIsNotReady(t *testing.T) {
	m := beginMeasured(t)
	if err := m.server.office.directory.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := m.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "\ndirectory: cannot look anybody up") ||
		strings.Count(body, ": ok\n") != 4 {
		t.Errorf("/readyz: %d\n%s", status, body)
	}
}

// A client that says nothing, or holds more connections than there are, keeps
// nobody from mail and is let go of.
func TestMetricsListenerIsBounded(t *testing.T) {
	m := beginMeasured(t)
	addUser(t, m.server, "ana")
	for range 40 {
		dial(t, m.ready.Metrics)
	}
	pop := dial(t, m.ready.POP3)
	pop.say("USER ana\r\nPASS secret\r\n")
	pop.expect("+OK 0 messages")
	if testing.Short() {
		t.Skip("waiting for the time-out of a header takes 5 seconds; run it without -short")
	}
	m.await("/healthz", "the process answers") // once the silent ones have been let go of
}

// A journal that cannot be written makes the server unready until one can.
func TestJournalsAreNotReady(t *testing.T) {
	m := beginMeasured(t)
	addUser(t, m.server, "ana")
	collect := func(answer string) {
		t.Helper()
		err := m.server.Operations().Call(t.Context(), OpDeliver, DeliverArgs{Recipients: []string{"ana"}}, strings.NewReader("x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := dial(t, m.ready.POP3)
		p.say("USER ana\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
		p.expect("+OK marked")
		p.expect(answer)
	}
	collect("+OK bye")
	journals, err := filepath.Glob(filepath.Join(m.conf.Data, "mail", "ana", ".restante", "*", "restante.journal"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("the journals are %q, %v", journals, err)
	}
	whole, err := os.ReadFile(journals[0])
	if err != nil {
		t.Fatal(err)
	}
	// Nobody can write where a directory stands.
	if err := os.Remove(journals[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(journals[0], "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	collect("-ERR [SYS/TEMP]")
	if status, body := m.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "\njournals: the latest write") ||
		strings.Count(body, ": ok\n") != 4 {
		t.Errorf("/readyz: %d\n%s", status, body)
	}
	if _, body := m.get("/metrics"); !strings.Contains(body, "restanted_removals_failed_total 1\n") ||
		!strings.Contains(body, `restanted_ready{check="journals"} 0`) || strings.Contains(body, "restanted_journal_failures_total 0\n") {
		t.Errorf("/metrics:\n%s", body)
	}
	if err := os.RemoveAll(journals[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journals[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	collect("+OK bye")
	if status, body := m.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d\n%s", status, body)
	}
}
