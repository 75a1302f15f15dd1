// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"restante.example/collect"
	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/internal/collector"
	"restante.example/pop3"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

func testConsole(t *testing.T) (c *console, out, errs *bytes.Buffer) {
	t.Helper()
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	c, err := newConsole(strings.NewReader(""), out, errs, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c, out, errs
}

func testAccount(t *testing.T) *accounts.Account {
	t.Helper()
	a, err := accounts.FromFlags(accounts.Settings{Server: "pop.example.org", User: "ana"}, accounts.ToLook)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// On a terminal one line an account moves, and lines that stay go above it.
func TestMovingLine(t *testing.T) {
	c, out, errs := testConsole(t)
	a := testAccount(t)
	r := newReporter(c, false, false, []*accounts.Account{a})
	r.tty, r.width = errs, 79
	r.event(a.Name, collect.Event{Kind: collect.EventListed, Messages: 4, Octets: 4000})
	r.lines[a.Name].begun = time.Now().Add(-10 * time.Second)
	for range 2 {
		r.event(a.Name, collect.Event{Kind: collect.EventFiled})
	}
	r.last = time.Time{}
	r.event(a.Name, collect.Event{Kind: collect.EventProgress, Octets: 1000})
	if got := errs.String(); !strings.Contains(got, "2 of 4 messages, 1.0 kB of 4.0 kB, ") || !strings.Contains(got, " left\n") {
		t.Errorf("drew %q", got)
	}
	for _, line := range strings.Split(errs.String(), "\n") {
		if n := len([]rune(strings.TrimPrefix(line, "\x1b[1A\x1b[2K"))); n > 78 {
			t.Errorf("a line of %d characters: %q", n, line)
		}
	}
	errs.Reset()
	r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: 3, Err: errors.New("bad\x1b[2J")})
	if got := errs.String(); !strings.HasPrefix(got, "\x1b[1A\x1b[2K"+a.Name+": message 3") || strings.Contains(got, "\x1b[2J") {
		t.Errorf("a problem: %q", got)
	}
	r.hold()
	errs.Reset()
	r.last = time.Time{}
	r.event(a.Name, collect.Event{Kind: collect.EventProgress, Octets: 2000})
	if errs.Len() > 0 {
		t.Errorf("drawn while somebody types: %q", errs)
	}
	r.release()
	if code := r.done(a, &collect.Report{Offered: 4, Filed: 3, FiledOctets: 3000, Left: 1}, nil); code != exitTempfail {
		t.Errorf("status %d", code)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "collected 3 messages, 3.0 kB") || r.drawn != 0 {
		t.Errorf("%q, %d lines left", out, r.drawn)
	}
}

// A reason is told once, and then how many messages have it. Programs get all.
func TestSameReasonForMany(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		c, out, errs := testConsole(t)
		a := testAccount(t)
		r := newReporter(c, false, asJSON, []*accounts.Account{a})
		down := errors.New("lmtp:x: connection refused")
		for n := range 256 {
			r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: n + 2, Err: down})
		}
		r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: 300, Err: errors.New("damaged")})
		r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: 301, Err: errors.New("odd")})
		r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: 302, Err: errors.New("odd")})
		r.done(a, &collect.Report{Offered: 259, Left: 259, Warnings: []error{down, errors.New("something else")}}, nil)
		if asJSON {
			if n := strings.Count(out.String(), `"event":"problem"`); n != 259 || !strings.Contains(out.String(), `"warnings":["lmtp:x: connection refused","something else"]`) {
				t.Errorf("%d problems: %s", n, out)
			}
			continue
		}
		var got []string
		for line := range strings.Lines(errs.String()) {
			got = append(got, strings.TrimSpace(strings.TrimPrefix(line, a.Name+": ")))
		}
		want := []string{
			"message 2 is left on the server: lmtp:x: connection refused", "message 300 is left on the server: damaged",
			"message 301 is left on the server: odd", "255 more messages are left on the server with the same reason as message 2",
			"1 more message is left on the server with the same reason as message 301", "note: something else",
		}
		if len(got) != len(want)+1 || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%q", got)
		}
	}
}

// There are no more reasons in memory than maxReasons.
func TestManyReasons(t *testing.T) {
	c, _, errs := testConsole(t)
	a := testAccount(t)
	r := newReporter(c, false, false, []*accounts.Account{a})
	for n := range 2 * maxReasons {
		r.event(a.Name, collect.Event{Kind: collect.EventProblem, Number: n, Err: fmt.Errorf("reason %d", n)})
	}
	if n := strings.Count(errs.String(), "\n"); n != 2*maxReasons || len(r.told[a.Name]) != maxReasons {
		t.Errorf("%d lines, %d reasons", n, len(r.told[a.Name]))
	}
}

func TestQuiet(t *testing.T) {
	c, out, errs := testConsole(t)
	a := testAccount(t)
	r := newReporter(c, true, false, []*accounts.Account{a})
	r.event(a.Name, collect.Event{Kind: collect.EventListed, Messages: 4})
	if r.done(a, &collect.Report{Filed: 4}, nil) != 0 || out.Len()+errs.Len() > 0 {
		t.Errorf("%q %q", out, errs)
	}
	r.done(a, &collect.Report{}, errors.New("broken"))
	if !strings.Contains(errs.String(), "broken") {
		t.Error("an error was not told")
	}
}

// full is an output that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputThatFails(t *testing.T) {
	s, err := pop3fault.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	t.Setenv("RESTANTE_PASSWORD", "secret")
	t.Setenv("LANG", "C")
	dir := t.TempDir()
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"fetch", "--json", "--to", "eml:" + dir + "/mail"}} {
		var errs bytes.Buffer
		args = append(args, "--server", s.Address(), "--tls=none", "--user=u1", "--state", dir)
		if code := run(t.Context(), args, nil, full{}, &errs); code != exitFailed || strings.Count(errs.String(), "no space left") != 1 {
			t.Errorf("%v: %d, %s", args, code, &errs)
		}
	}
}

func TestExplanationsAndStatuses(t *testing.T) {
	c, _, _ := testConsole(t)
	a := testAccount(t)
	refusal := func(command string, code pop3.Code) error {
		return &pop3.Error{Command: command, Code: code, Text: "\x1b[31mno"}
	}
	for _, one := range []struct {
		err  error
		code int
		text string
	}{
		{context.Canceled, exitTempfail, "interrupted"},
		{&collector.JournalError{Err: sqlitejournal.ErrLocked}, exitTempfail, "another restante"},
		{&collector.JournalError{Err: errors.New("disk")}, exitIO, "journal"},
		{&collector.DestinationError{Spec: "eml:x", Err: errors.New("not a directory")}, exitCantCreate, "eml:x"},
		{accounts.ErrNoPassword, exitConfig, "no password"},
		{&accounts.SecretError{Err: errors.New("no \x1b[31mentry")}, exitConfig, "cannot be read: no ?[31mentry"},
		{&accounts.SettingsError{Err: errors.New("no certificate")}, exitConfig, "no certificate"},
		{refusal("PASS", pop3.CodeAuth), exitNoPerm, "app password"},
		{refusal("PASS", ""), exitNoPerm, "app password"},
		{refusal("PASS", pop3.CodeInUse), exitTempfail, "another program"},
		{refusal("PASS", pop3.CodeLoginDelay), exitTempfail, "time between"},
		{refusal("", pop3.CodeSysTemp), exitTempfail, "cannot serve now"},
		{&pop3client.FarewellError{Code: pop3.CodeSysTemp, Text: "going down"}, exitTempfail, "cannot serve now"},
		{refusal("UIDL", pop3.CodeSysPerm), exitUnavailable, "refuses"},
		{pop3client.ErrNoSTLS, exitProtocol, "--tls implicit"},
		{fmt.Errorf("%w: %w", pop3client.ErrNoGreeting, os.ErrDeadlineExceeded), exitProtocol, "--tls implicit"},
		{pop3client.ErrNoMechanism, exitProtocol, "common way"},
		{&pop3client.ProtocolError{Line: "HTTP/1.1 400"}, exitProtocol, "HTTP/1.1"},
		{&pop3client.LimitError{What: "listing", Limit: 7}, exitProtocol, "limit"},
		{&net.DNSError{IsNotFound: true}, exitNoHost, "pop.example.org"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, exitTempfail, "pop.example.org:995"},
		{context.DeadlineExceeded, exitTempfail, "does not answer"},
		{errors.Join(errors.New("sync: no"), errors.New("truncate: no")), exitTempfail, "sync: no; truncate: no"},
	} {
		text, code := c.explain(a, fmt.Errorf("dialing: %w", one.err))
		if code != one.code || !strings.Contains(text, one.text) || strings.Contains(text, "\x1b") {
			t.Errorf("%v: %d %q", one.err, code, text)
		}
	}
	a.Proxy = "proxy.example.org:1080"
	for _, err := range []error{&net.DNSError{IsNotFound: true}, &net.OpError{Op: "dial", Err: errors.New("refused")}, context.DeadlineExceeded} {
		if text, _ := c.explain(a, err); !strings.Contains(text, a.Proxy) || strings.Contains(text, "no server") {
			t.Errorf("by the proxy: %v: %q", err, text)
		}
	}
	text := c.explainCertificate(a, x509.UnknownAuthorityError{}, "ab12")
	if !strings.Contains(text, "ab12") || !strings.Contains(text, "--pin") || !strings.Contains(text, "--ca") {
		t.Error(text)
	}
}

func TestPlurals(t *testing.T) {
	a := testAccount(t)
	for lang, want := range map[string][2]string{
		"C": {"collected 1 message, 5 B; deleted 1 on the server; left 1 that is too large; 1 message could not",
			"collected 2 messages, 5 B; deleted 2 on the server; left 2 that are too large; 2 messages could not"},
		"es_ES": {"recogido 1 mensaje, 5 B; borrado 1 en el servidor; 1 demasiado grande se ha dejado; no se pudo recoger 1 mensaje",
			"recogidos 2 mensajes, 5 B; borrados 2 en el servidor; 2 demasiado grandes se han dejado; no se pudieron recoger 2 mensajes"},
	} {
		for i, want := range want {
			var out bytes.Buffer
			c, err := newConsole(nil, &out, &out, func(string) string { return lang })
			if err != nil {
				t.Fatal(err)
			}
			n := i + 1
			r := newReporter(c, false, false, []*accounts.Account{a})
			r.done(a, &collect.Report{Offered: 9, Filed: n, FiledOctets: 5, Deleted: n, TooLarge: n, Left: n}, nil)
			if got := strings.ReplaceAll(out.String(), "\n"+a.Name+": ", "; "); !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			out.Reset()
			r.done(a, &collect.Report{Offered: n}, nil)
			r.done(a, &collect.Report{Would: n}, nil)
			if strings.Contains(out.String(), "1 m") != (n == 1) || strings.Contains(out.String(), "1 messages") || strings.Contains(out.String(), "1 mensajes") {
				t.Errorf("%d: %s", n, &out)
			}
		}
	}
}

func TestMinutes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 20*time.Minute + time.Hour: "1h20m",
	} {
		if got := minutes(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}

func TestOverallStatus(t *testing.T) {
	for want, codes := range map[int][]int{0: {0, 0}, exitNoPerm: {0, exitNoPerm, exitNoPerm}, exitTempfail: {exitNoPerm, 0, exitNoHost}} {
		if got := overall(codes); got != want {
			t.Errorf("%v: %d", codes, got)
		}
	}
}

// TestCrossCompiles builds the command for every system that it is for.
func TestCrossCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything four times; run without -short")
	}
	for _, system := range []string{"linux", "darwin", "windows", "freebsd"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(t.TempDir(), "restante"), ".")
		cmd.Env = append(cmd.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", system, err, output)
		}
	}
}
