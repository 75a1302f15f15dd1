// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"restante.example/internal/intake"
	"restante.example/pop3server"
)

func page(t testing.TB, m *Metrics, path string, checks ...Check) (int, string) {
	t.Helper()
	s := m.NewServer(func() []Check { return checks }, slog.New(slog.DiscardHandler))
	r := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(r, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.Code, string(body)
}

func nothing() Reading { return Reading{} }

// However many mechanisms and reasons come, and whatever is in them, a label has
// few values and no text of somebody else's.
func TestLabelsAreBounded(t *testing.T) {
	m := New("v", nothing)
	for i := range 1000 {
		m.signIn(pop3server.SignInOutcome{Mechanism: fmt.Sprint("MECH-", i), TLS: fmt.Sprint("TLS 9.", i)})
		m.signIn(pop3server.SignInOutcome{Mechanism: "USER", Refused: fmt.Sprint("reason ", i)})
		m.Ended(pop3server.Summary{End: pop3server.Ending(fmt.Sprint("end ", i))})
	}
	for _, hostile := range []string{"ana@example.org", "secret\n", "192.0.2.1", "\xff", strings.Repeat("x", 33), ""} {
		m.signIn(pop3server.SignInOutcome{Mechanism: hostile})
		m.signIn(pop3server.SignInOutcome{Mechanism: "PLAIN", Refused: hostile + "!"})
	}
	_, body := page(t, m, "/metrics")
	for name, most := range map[string]int{
		"restanted_signins_total{": maxWords + 8, "restanted_signins_refused_total{": 2*maxWords + 8, "restanted_connections_ended_total{": maxWords + 1,
	} {
		if n := strings.Count(body, "\n"+name); n == 0 || n > most {
			t.Errorf("%s has %d series, %d at most are expected", name, n, most)
		}
	}
	for _, never := range []string{"example", "secret", "192.0.2", "xxx", "TLS 9"} {
		if strings.Contains(body, never) {
			t.Errorf("%q is in the metrics", never)
		}
	}
	if !strings.Contains(body, `restanted_signins_total{mechanism="other",tls="none"}`) {
		t.Error("what is not known is not counted")
	}
}

// The series that alerts and rates need are there before anything happens.
func TestSeriesBeginAtZero(t *testing.T) {
	_, body := page(t, New("v", nothing), "/metrics")
	for class := intake.Delivered; class <= intake.Temporary; class++ {
		if want := fmt.Sprintf("restanted_deliveries_total{result=%q} 0\n", class); !strings.Contains(body, want) {
			t.Errorf("lacks %s", want)
		}
	}
	for _, want := range []string{
		`restanted_connections_ended_total{reason="internal error"} 0`,
		`restanted_signins_refused_total{mechanism="USER",reason="unavailable"} 0`,
		`restanted_connections_limit{of="pop3"} +Inf`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(body, `="other"`) {
		t.Error("a word of our own is not known")
	}
	if strings.Contains(body, "restanted_certificate_expiry_timestamp_seconds ") {
		t.Error("no certificate has a time")
	}
}

func TestNilMetricsCountNothing(t *testing.T) {
	var m *Metrics
	if m.POP3() != nil || m.Intake() != nil || m.Hash() != nil {
		t.Error("a nil Metrics has something to be told")
	}
	m.Ended(pop3server.Summary{})
	m.Guard(time.Second, true)
}

func TestReadyz(t *testing.T) {
	m := New("v", nothing)
	status, body := page(t, m, "/readyz", Check{"store", ""}, Check{"directory", "is away"})
	if want := "not ready\nstore: ok\ndirectory: is away\n"; status != http.StatusServiceUnavailable || body != want {
		t.Errorf("%d\n%s", status, body)
	}
	status, body = page(t, m, "/readyz", Check{"store", ""})
	if want := "ready\nstore: ok\n"; status != http.StatusOK || body != want {
		t.Errorf("%d\n%s", status, body)
	}
}

// BenchmarkSession is what counting costs a whole session with one message.
func BenchmarkSession(b *testing.B) {
	m := New("v", nothing)
	o := m.POP3()
	b.ReportAllocs()
	for b.Loop() {
		m.Accepted("pop3s")
		m.Guard(0, false)
		o.SignIn(pop3server.SignInOutcome{Mechanism: "USER", TLS: "TLS 1.3", Took: time.Millisecond})
		o.Retrieved(pop3server.Retrieval{Opened: time.Millisecond, Took: time.Millisecond})
		o.Removed(1, 0, time.Millisecond)
		m.Ended(pop3server.Summary{User: "u", End: pop3server.EndQuit})
	}
}
