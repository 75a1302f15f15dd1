// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/collect/sqlitejournal"
	"restante.example/internal/accounts"
	"restante.example/pop3"
	"restante.example/pop3server/pop3fault"
	"restante.example/sasl"
)

func serve(t *testing.T, faults ...pop3fault.Fault) *pop3fault.Server {
	t.Helper()
	s, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func account(t *testing.T, dir string, change func(*accounts.Settings)) *accounts.Account {
	t.Helper()
	s := accounts.Settings{Server: "127.0.0.1", TLS: "none", User: "u1", Password: "secret", InsecurePassword: true, To: []string{"maildir:" + filepath.Join(dir, "m")}}
	if change != nil {
		change(&s)
	}
	a, err := accounts.FromFlags(s, accounts.ToCollect)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newCollector(dir string, s *pop3fault.Server, log *bytes.Buffer) *Collector {
	handler := slog.DiscardHandler
	if log != nil {
		handler = slog.NewTextHandler(log, nil)
	}
	return &Collector{
		State: filepath.Join(dir, "state"), Log: slog.New(handler), Dialer: s, Now: time.Now,
		Source: accounts.Source{Getenv: func(string) string { return "" }},
	}
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, pop3fault.RefuseMessage(2))
	c, a := newCollector(dir, s, nil), account(t, dir, nil)
	before, err := ReadStatus(c.State, a)
	if err != nil || !before.LastAttempt.IsZero() {
		t.Fatal(before, err)
	}
	if _, err := c.Collect(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	got, err := ReadStatus(c.State, a)
	if err != nil || got.Filed != 4 || got.Left != 1 || got.Total != 4 || len(got.Problems) != 1 || !got.LastSuccess.IsZero() ||
		got.LastAttempt.IsZero() || got.User != "u1" {
		t.Errorf("%+v, %v", got, err)
	}
	if entries, err := c.Collected(t.Context(), a); err != nil || len(entries) != 4 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if err := os.WriteFile(a.StatusFile(c.State), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadStatus(c.State, a); err != nil {
		t.Errorf("a torn status: %v", err)
	}
}

func TestErrorsSayWhatTheyAreAbout(t *testing.T) {
	dir := t.TempDir()
	s := serve(t)
	c := newCollector(dir, s, nil)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := account(t, dir, func(s *accounts.Settings) { s.To = []string{"maildir:" + file} })
	var place *DestinationError
	if _, err := c.Collect(t.Context(), a); !errors.As(err, &place) {
		t.Errorf("destination: %v", err)
	}
	a = account(t, dir, nil)
	j, err := sqlitejournal.Open(t.Context(), a.Journal(c.State))
	if err != nil {
		t.Fatal(err)
	}
	var journal *JournalError
	if _, err := c.Collect(t.Context(), a); !errors.As(err, &journal) || !errors.Is(err, sqlitejournal.ErrLocked) {
		t.Errorf("journal: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	c.DryRun = true
	if r, err := c.Collect(t.Context(), account(t, dir, func(s *accounts.Settings) { s.To = []string{"eml:" + dir + "/never"} })); err != nil || r.Would != 5 {
		t.Errorf("dry run: %+v, %v", r, err)
	}
	if _, err := os.Stat(dir + "/never"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dry run made the destination: %v", err)
	}
}

// poller runs a Poller in a bubble until stop is called.
func poller(t *testing.T, p *Poller, load func() ([]*accounts.Account, error)) (reload chan struct{}, stop func()) {
	t.Helper()
	p.Load = load
	p.Rand = func() float64 { return 0.5 }
	reload = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := p.Run(ctx, reload, func(bool) {}); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return reload, func() { cancel(); wait.Wait() }
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t)
		defer s.Close()
		a := account(t, dir, func(s *accounts.Settings) { s.Interval = accounts.Days(10 * time.Minute) })
		var log bytes.Buffer
		p := &Poller{Collector: newCollector(dir, s, &log)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		// The first within ten seconds, then each ten minutes and half of a tenth.
		if n := s.SignIns(); n != 6 {
			t.Errorf("%d sign-ins in an hour", n)
		}
		status, err := ReadStatus(p.State, a)
		if err != nil || status.Total != 5 || status.LastSuccess.IsZero() || !status.NextPoll.IsZero() {
			t.Errorf("%+v, %v", status, err)
		}
	})
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t, pop3fault.RefuseSignIn(1000, "IN-USE"))
		defer s.Close()
		a := account(t, dir, func(s *accounts.Settings) { s.Interval = accounts.Days(time.Minute) })
		p := &Poller{Collector: newCollector(dir, s, nil)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		status, _ := ReadStatus(p.State, a)
		stop()
		// 2, 4, ... 32 minutes, and then one an hour.
		if n := s.SignIns(); n < 20 || n > 32 {
			t.Errorf("%d sign-ins in a day of refusals", n)
		}
		if !strings.Contains(status.Error, "IN-USE") || status.NextPoll.IsZero() {
			t.Errorf("%+v", status)
		}
	})
}

// behaviours.md, Client 9.
func TestWrongPasswordStopsUntilUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t)
		defer s.Close()
		a := account(t, dir, func(s *accounts.Settings) { s.Password = "" })
		p := &Poller{Collector: newCollector(dir, s, nil)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		defer stop()
		settle := func() Status {
			time.Sleep(5 * time.Hour)
			synctest.Wait()
			status, err := ReadStatus(p.State, a)
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
		if got := settle(); got.Waiting != "password" || s.SignIns() != 0 {
			t.Errorf("without a password: %+v, %d sign-ins", got, s.SignIns())
		}
		if err := p.Unlock(a.Name, "wrong"); err != nil {
			t.Error(err)
		}
		if got := settle(); got.Waiting != "password" || s.SignIns() != 1 {
			t.Errorf("with a wrong one: %+v, %d sign-ins", got, s.SignIns())
		}
		if err := p.Unlock(a.Name, "secret"); err != nil {
			t.Error(err)
		}
		if got := settle(); got.Waiting != "" || got.Total != 5 {
			t.Errorf("with the right one: %+v", got)
		}
		if err := p.Unlock("nobody", "x"); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

// A password that a person gives is used, whatever the settings say; and one that
// comes while another is being refused is not thrown away with that.
func TestUnlockComesBeforeTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "pw")
		if err := os.WriteFile(file, []byte("outdated\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := serve(t)
		defer s.Close()
		a := account(t, dir, func(s *accounts.Settings) { s.Password, s.PasswordFile = "", file })
		p := &Poller{Collector: newCollector(dir, s, nil)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		defer stop()
		settle := func() Status {
			time.Sleep(time.Minute)
			synctest.Wait()
			status, err := ReadStatus(p.State, a)
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
		if got := settle(); got.Waiting != "password" || s.SignIns() != 1 {
			t.Errorf("with the one of the file: %+v, %d sign-ins", got, s.SignIns())
		}
		if err := p.Unlock(a.Name, "secret"); err != nil {
			t.Error(err)
		}
		p.forget(a.Name, "") // the refusal of the one of the file, late
		if got := settle(); got.Waiting != "" || got.Total != 5 {
			t.Errorf("with the one that was given: %+v", got)
		}
	})
}

// A wrong password that a person gives does not stop an account for ever whose
// settings have the right one. Where they have not, it stops.
func TestWrongUnlockGivesTheSettingsTheirTurn(t *testing.T) {
	for _, right := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "pw")
			s := serve(t)
			defer s.Close()
			if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			a := account(t, dir, func(s *accounts.Settings) { s.Password, s.PasswordFile = "", file })
			p := &Poller{Collector: newCollector(dir, s, nil)}
			_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
			defer stop()
			time.Sleep(time.Minute)
			synctest.Wait()
			if !right {
				if err := os.WriteFile(file, []byte("outdated too\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Unlock(a.Name, "outdated"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, err := ReadStatus(p.State, a); err != nil || got.Waiting != "password" || got.NextPoll.IsZero() {
				t.Errorf("refused: %+v, %v", got, err)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			got, err := ReadStatus(p.State, a)
			if err != nil || right != (got.Waiting == "") || right == got.NextPoll.IsZero() {
				t.Errorf("later: %+v, %v", got, err)
			}
			if n := s.SignIns(); !right && n != 3 {
				t.Errorf("%d sign-ins", n)
			}
		})
	}
}

// What was given for one server is not for another that has its name now.
func TestUnlockedUntilTheSettingsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t)
		defer s.Close()
		load := func(user string) []*accounts.Account {
			a := account(t, dir, func(s *accounts.Settings) { s.Password, s.User = "", user })
			a.Name = "mail"
			return []*accounts.Account{a}
		}
		list := load("u1")
		p := &Poller{Collector: newCollector(dir, s, nil)}
		reload, stop := poller(t, p, func() ([]*accounts.Account, error) { return list, nil })
		defer stop()
		if err := p.Unlock("mail", "secret"); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			user string
			want sasl.Secret
		}{{"u1", "secret"}, {"u2", ""}} {
			list = load(test.user)
			reload <- struct{}{}
			synctest.Wait()
			if got := p.unlocked(list[0]); got != test.want {
				t.Errorf("%s: %d octets", test.user, len(got))
			}
		}
	})
}

// A password that is not where the settings say is looked for again: who puts it
// there need not tell.
func TestPasswordComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "pw")
		s := serve(t)
		defer s.Close()
		a := account(t, dir, func(s *accounts.Settings) { s.Password, s.PasswordFile = "", file })
		p := &Poller{Collector: newCollector(dir, s, nil)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, err := ReadStatus(p.State, a); err != nil || got.Waiting != "password" || got.NextPoll.IsZero() || !strings.Contains(got.Error, file) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got, err := ReadStatus(p.State, a); err != nil || got.Waiting != "" || got.Total != 5 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// To be stopped in the middle is no failure of the account.
func TestStopIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t, pop3fault.HangInMessage(3))
		defer s.Close()
		a := account(t, dir, nil)
		p := &Poller{Collector: newCollector(dir, s, nil)}
		_, stop := poller(t, p, func() ([]*accounts.Account, error) { return []*accounts.Account{a}, nil })
		time.Sleep(30 * time.Second) // the poll has begun, and the server is silent
		synctest.Wait()
		stop()
		got, err := ReadStatus(p.State, a)
		if err != nil || s.SignIns() != 1 {
			t.Fatalf("%d sign-ins, %v", s.SignIns(), err)
		}
		if got.Error != "" || got.Total != 2 || !got.LastAttempt.IsZero() || !got.LastSuccess.IsZero() || !got.NextPoll.IsZero() {
			t.Errorf("%+v", got)
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := serve(t)
		defer s.Close()
		list, failure := []*accounts.Account{account(t, dir, nil)}, error(nil)
		p := &Poller{Collector: newCollector(dir, s, nil)}
		reload, stop := poller(t, p, func() ([]*accounts.Account, error) { return list, failure })
		defer stop()
		failure = errors.New("wrong in line 3")
		reload <- struct{}{}
		synctest.Wait()
		time.Sleep(time.Hour)
		if n := s.SignIns(); n < 5 {
			t.Errorf("%d sign-ins after a reload that failed", n)
		}
		failure = nil
		other := account(t, dir, func(s *accounts.Settings) { s.Server = "localhost"; s.To = []string{"eml:" + dir + "/e"} })
		list = []*accounts.Account{other}
		reload <- struct{}{}
		synctest.Wait()
		before := s.SignIns()
		time.Sleep(time.Minute)
		synctest.Wait()
		if files, err := os.ReadDir(dir + "/e"); err != nil || len(files) != 5 || s.SignIns() != before+1 {
			t.Errorf("%d files, %v, %d sign-ins", len(files), err, s.SignIns()-before)
		}
	})
}

func TestUnlockSocket(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "s")
	listener, err := Listen(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	a := account(t, dir, nil)
	p := &Poller{Collector: newCollector(dir, serve(t), nil)}
	p.secrets, p.kicks = map[string]sasl.Secret{}, map[string]chan struct{}{a.Name: make(chan struct{}, 1)}
	var wait sync.WaitGroup
	wait.Go(func() { p.ServeUnlock(listener) })
	if err := SendUnlock(t.Context(), state, a.Name, "x y"); err != nil {
		t.Error(err)
	}
	if s := p.unlocked(a); string(s) != "x y" {
		t.Errorf("%d octets", len(s))
	}
	if err := SendUnlock(t.Context(), state, "nobody", "x"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := Listen(t.Context(), state); !errors.Is(err, ErrRunning) {
		t.Errorf("a second one: %v", err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(SocketPath(state)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		if err := os.Chmod(state, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(t.Context(), state); err == nil {
			t.Error("in a directory that is open to others")
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	if err := SendUnlock(t.Context(), state, a.Name, "x"); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
}

// short is a listener of a process that has too many files open for a while.
type short struct {
	net.Listener
	times int
}

func (s *short) Accept() (net.Conn, error) {
	if s.times > 0 {
		s.times--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

func TestUnlockSocketOutlivesErrors(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "s")
	listener, err := Listen(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	p := &Poller{Collector: newCollector(dir, serve(t), nil)}
	done := make(chan struct{})
	go func() {
		p.ServeUnlock(&short{listener, 1})
		close(done)
	}()
	if err := SendUnlock(t.Context(), state, "nobody", "x"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such sockets; run on Unix")
	}
	name := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := Notify(func(string) string { return name }, "READY=1"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if err := Notify(func(string) string { return "" }, "READY=1"); err != nil {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	err := fmt.Errorf("mbox:x: %w", errors.Join(errors.New("sync: \x1b[2J"), errors.New("truncate")))
	if got := Words(err); got != "mbox:x: sync: ?[2J; truncate" {
		t.Errorf("%q", got)
	}
}

// What a server says and what a password is do not meet in a status.
func TestStatusHasNoSecretsOrEscapes(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, pop3fault.TerminalEscapes(), pop3fault.RefuseSignIn(9, "AUTH"))
	c, a := newCollector(dir, s, nil), account(t, dir, nil)
	if _, err := c.Collect(t.Context(), a); !errors.Is(err, pop3.CodeAuth) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(a.StatusFile(c.State))
	var status Status
	if err != nil || json.Unmarshal(data, &status) != nil || status.Error == "" {
		t.Fatal(string(data), err)
	}
	if bytes.Contains(data, []byte("secret")) || strings.ContainsAny(status.Error, "\x1b\x07") {
		t.Errorf("%s", data)
	}
}
