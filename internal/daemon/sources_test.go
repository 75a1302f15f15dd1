// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/config"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// sourcesTest is an office with a passwd-file.
type sourcesTest struct {
	*Office
	t    *testing.T
	file string
	log  strings.Builder
}

func newSourcesTest(t *testing.T, maildir, users string) *sourcesTest {
	t.Helper()
	s := &sourcesTest{t: t, file: filepath.Join(t.TempDir(), "users")}
	s.write(users, time.Hour)
	c := testConfig(t, config.Flags{})
	c.Maildir, c.Users.PasswdFile = maildir, s.file
	if err := MakeData(c.Data); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.Office, err = OpenOffice(t.Context(), c, slog.New(slog.NewTextHandler(&s.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// write writes lines of users, with "secret" as the password, as if that had
// been some time ago.
func (s *sourcesTest) write(users string, ago time.Duration) {
	s.t.Helper()
	var b strings.Builder
	for _, name := range strings.Fields(users) {
		fmt.Fprintf(&b, "%s:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", name)
	}
	at := time.Now().Add(-ago)
	if err := errors.Join(os.WriteFile(s.file, []byte(b.String()), 0o600), os.Chtimes(s.file, at, at)); err != nil {
		s.t.Fatal(err)
	}
}

// names returns who there is.
func (s *sourcesTest) names() string {
	s.t.Helper()
	s.watch.Load().Look(s.t.Context())
	users, err := s.directory.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, u := range users {
		names = append(names, u.Name)
	}
	return strings.Join(names, " ")
}

// A file that has lost users may be half of one that is being written.
func TestFileThatHasLostUsersIsLeftAlone(t *testing.T) {
	s := newSourcesTest(t, "", "ana bea")
	if got := s.names(); got != "ana bea" {
		t.Fatalf("at first: %s", got)
	}
	s.write("ana", 0)
	if got := s.names(); got != "ana bea" {
		t.Errorf("at once: %s", got)
	}
	if _, err := s.directory.Recipient(t.Context(), "bea"); err != nil {
		t.Errorf("mail for somebody who is missing for a moment: %v", err)
	}
	s.write("ana", settled+time.Second)
	if got := s.names(); got != "ana" {
		t.Errorf("later: %s", got)
	}
	if _, err := s.directory.Recipient(t.Context(), "bea"); !errors.Is(err, maildrop.ErrNoUser) {
		t.Errorf("mail for somebody who is gone: %v", err)
	}
	s.write("ana cleo", 0) // nobody is missing
	if got := s.names(); got != "ana cleo" {
		t.Errorf("somebody new: %s", got)
	}
}

// Who has no place for mail, or that of somebody else, is no user, and the log
// says so.
func TestUsersOfTheFileNeedAPlace(t *testing.T) {
	dir := t.TempDir()
	s := newSourcesTest(t, dir+"/{domain}/{local}", "ana@example.org bare")
	if got := s.names(); got != "ana@example.org" {
		t.Errorf("users: %s", got)
	}
	if log := s.log.String(); !strings.Contains(log, "user=bare") || !strings.Contains(log, "needs a domain") {
		t.Errorf("the log: %s", log)
	}
}

// The file changes while people sign in and a command adds users.
func TestTwoWriters(t *testing.T) {
	s := newSourcesTest(t, "", "ana bea")
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.directory.SignIn(t.Context(), maildrop.Attempt{Name: "ana"}, "secret"); err != nil {
					t.Errorf("ana: %v", err)
					return
				}
			}
		})
	}
	for i := range 10 {
		s.write(fmt.Sprintf("ana bea f%d", i), time.Hour+time.Duration(i)*time.Minute)
		if got := s.names(); !strings.Contains(got, fmt.Sprintf("f%d", i)) {
			t.Errorf("round %d: %s", i, got)
		}
		if _, err := s.addUser(t.Context(), UserArgs{Name: fmt.Sprintf("own%d", i), Password: string(sasl.Secret("x"))}, nil); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	all.Wait()
	want := "ana bea f9"
	for i := range 10 {
		want += fmt.Sprintf(" own%d", i)
	}
	if got := s.names(); got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
}

// A look at the file of before that comes late, as when the configuration is
// read again meanwhile, changes nobody.
func TestLateLookAtAFormerFile(t *testing.T) {
	s := newSourcesTest(t, "", "ana bea")
	former, formerFile := s.watch.Load(), s.file
	c := *s.config
	s.file = filepath.Join(t.TempDir(), "others")
	s.write("ana", time.Hour)
	c.Users.PasswdFile = s.file
	s.configureSources(&c)
	if got := s.names(); got != "ana" {
		t.Fatalf("of the new file: %s", got)
	}
	now := s.file
	s.file = formerFile
	s.write("ana bea cleo", 30*time.Minute)
	s.file = now
	former.Look(t.Context())
	if got := s.names(); got != "ana" {
		t.Errorf("after a look at the former file: %s", got)
	}
	c.Users.PasswdFile = ""
	s.configureSources(&c)
	former.Look(t.Context())
}

// A changed password works at the first try, though it is this sign-in that
// finds the change and ends the sessions of the old one.
func TestChangedPasswordWorksAtTheFirstTry(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	write := func(password string) {
		t.Helper()
		next := file + ".new"
		if err := errors.Join(os.WriteFile(next, []byte("ana:{PLAIN}"+password+"\n"), 0o600), os.Rename(next, file)); err != nil {
			t.Fatal(err)
		}
	}
	write("p0")
	c := testConfig(t, config.Flags{})
	c.Users.PasswdFile = file
	ready, _ := begin(t, c)
	for i := range 5 {
		p := dial(t, ready.POP3)
		p.say(fmt.Sprintf("USER ana\r\nPASS p%d\r\n", i))
		p.expect("+OK 0 messages")
		write(fmt.Sprintf("p%d", i+1))
		time.Sleep(time.Second) // for as long an old answer may hold
	}
}

// A reload that leaves the helper as it is begins no second one beside it: its
// slots bound how many run, and what it has said is remembered for it.
func TestReloadKeepsTheHelper(t *testing.T) {
	s := newSourcesTest(t, "", "ana")
	c := *s.config
	c.Users.Helper = []string{"/bin/false"}
	s.configureSources(&c)
	first := s.helper
	c.Users.Helper, c.Users.PasswdFile = []string{"/bin/false"}, ""
	s.configureSources(&c)
	if first == nil || s.helper != first {
		t.Errorf("the helper is %p and was %p", s.helper, first)
	}
	c.Users.HelperRemember = config.Duration(time.Minute)
	s.configureSources(&c)
	if s.helper == first {
		t.Error("the helper goes on with the settings of before")
	}
	c.Users.Helper = nil
	s.configureSources(&c)
	if s.helper != nil || s.helperOf(c.Users) != nil {
		t.Error("the helper is still there")
	}
}
