// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"restante.example/internal/config"
	"restante.example/internal/control"
)

func TestFixedPart(t *testing.T) {
	for template, want := range map[string]string{
		"/home/{user}/Maildir":          "/home",
		"/srv/mail/{domain}/{local}":    "/srv/mail",
		"/srv/mail/user-{user}/Maildir": "/srv/mail",
		"/{user}":                       "/",
	} {
		if got := fixedPart(template); got != want {
			t.Errorf("%s: %s, want %s", template, got, want)
		}
	}
}

func TestBindHints(t *testing.T) {
	for _, c := range []struct {
		service, address string
		err              error
		want             string
	}{
		{POP3S, ":995", fs.ErrPermission, "--pop3s 127.0.0.1:9995"},
		{POP3, ":110", fs.ErrPermission, "setcap cap_net_bind_service"},
		{LMTP, "127.0.0.1:24", syscall.EADDRINUSE, "another program listens there"},
		{POP3, "192.0.2.1:110", syscall.EADDRNOTAVAIL, "no such address"},
	} {
		err := bindHint(c.service, c.address, &net.OpError{Op: "listen", Err: c.err})
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.address) {
			t.Errorf("%s: %v", c.address, err)
		}
	}
}

// A user that cannot have a Maildir is not added.
func TestUserWithoutAPlaceIsNotAdded(t *testing.T) {
	base := t.TempDir()
	c := testConfig(t, config.Flags{})
	c.Maildir = filepath.Join(base, "{domain}", "{local}")
	if err := MakeData(c.Data); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOffice(t.Context(), c, NewLog(&logBuffer{}, c).Logger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := o.Mux()
	for _, name := range []string{"bare", "../x@example.org", ".hidden@example.org", "a/b@example.org"} {
		if err := m.Call(t.Context(), OpUserAdd, UserArgs{Name: name, Password: "secret"}, nil, nil); err == nil {
			t.Errorf("%q was added", name)
		}
	}
	var info UserInfo
	if err := m.Call(t.Context(), OpUserAdd, UserArgs{Name: "ana@example.org", Password: "secret"}, nil, &info); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(base, "example.org", "ana"); info.Maildir != want || info.Problem != "" {
		t.Errorf("got %+v", info)
	}
	var list []UserInfo
	if err := m.Call(t.Context(), OpUserList, Nothing{}, nil, &list); err != nil || len(list) != 1 {
		t.Errorf("%d users, %v", len(list), err)
	}
	if err := m.Call(t.Context(), OpUserRemove, UserArgs{Name: "nobody"}, nil, nil); !control.HasCode(err, CodeNoUser) {
		t.Errorf("removing nobody: %v", err)
	}
	if err := m.Call(t.Context(), OpUserAdd, UserArgs{Name: "ana@example.org", Password: "secret"}, nil, nil); !control.HasCode(err, CodeExists) {
		t.Errorf("adding somebody twice: %v", err)
	}
}

// Users without a quota of their own have that of the configuration.
func TestQuotaOfTheConfiguration(t *testing.T) {
	c := testConfig(t, config.Flags{})
	c.Delivery.QuotaMessages = 1
	_, l := begin(t, c)
	addUser(t, l.server, "ana")
	deliver := func() Delivered {
		var list []Delivered
		err := l.server.Operations().Call(t.Context(), OpDeliver, DeliverArgs{Recipients: []string{"ana"}}, strings.NewReader("x"), &list)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0]
	}
	if d := deliver(); !d.Done {
		t.Errorf("the first: %+v", d)
	}
	if d := deliver(); d.Done || d.Permanent || d.Reason != "over quota" {
		t.Errorf("the second: %+v", d)
	}
	next := *c
	next.Delivery.OverQuota = config.OverQuotaRefuse
	if err := l.server.Reload(func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	if d := deliver(); d.Done || !d.Permanent || !d.OverQuota || d.Reason != "over quota" {
		t.Errorf("the third: %+v", d)
	}
}

// A sender that is no address keeps no mail away, but one that would forge header
// lines does.
func TestSenderThatIsNoAddress(t *testing.T) {
	_, l := begin(t, testConfig(t, config.Flags{}))
	addUser(t, l.server, "ana")
	for sender, done := range map[string]bool{"bob@": true, "a\x00b": true, "b@x\r\nTo: c": false, "b@x\n": false} {
		var list []Delivered
		args := DeliverArgs{Sender: sender, Recipients: []string{"ana"}}
		err := l.server.Operations().Call(t.Context(), OpDeliver, args, strings.NewReader("x"), &list)
		if err != nil || len(list) != 1 || list[0].Done != done || list[0].Permanent == done {
			t.Errorf("%q: %+v, %v", sender, list, err)
		}
	}
}

// A template that would mix the mail of two users refuses the second.
func TestTwoUsersNeverShareAMaildir(t *testing.T) {
	c := testConfig(t, config.Flags{})
	c.Maildir = filepath.Join(t.TempDir(), "{local}.{domain}")
	_, l := begin(t, c)
	addUser(t, l.server, "a.b@c")
	err := l.server.Operations().Call(t.Context(), OpUserAdd, UserArgs{Name: "a@b.c", Password: "secret"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "a.b@c already") {
		t.Errorf("got %v", err)
	}
}

// Somebody who is added anew under an old name has the mail that is there, and
// nothing of the old one's state gets in the way.
func TestUserAddedAnew(t *testing.T) {
	c := testConfig(t, config.Flags{})
	ready, l := begin(t, c)
	deliver := func() {
		t.Helper()
		err := l.server.Operations().Call(t.Context(), OpDeliver, DeliverArgs{Recipients: []string{"ana"}}, strings.NewReader("x"), nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	session := func(lines, want string) {
		t.Helper()
		p := dial(t, ready.POP3)
		p.say("USER ana\r\nPASS secret\r\n" + lines + "QUIT\r\n")
		p.expect(want)
		rest, err := io.ReadAll(p.in)
		if err != nil || !strings.HasPrefix(string(rest), "+OK") || strings.Contains(string(rest), "-ERR") {
			t.Errorf("%q was answered with %q, %v", lines, rest, err)
		}
	}
	addUser(t, l.server, "ana")
	deliver()
	deliver()
	session("DELE 1\r\n", "+OK 2 messages")
	if err := l.server.Operations().Call(t.Context(), OpUserRemove, UserArgs{Name: "ana"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	addUser(t, l.server, "ana")
	deliver()
	session("DELE 1\r\n", "+OK 2 messages")
	for _, all := range []bool{false, true} {
		if err := l.server.sweep(t.Context(), all); err != nil {
			t.Errorf("sweep: %v", err)
		}
	}
	session("", "+OK 1 messages")
	l.signals <- syscall.SIGTERM
	l.wait(t)
	ready, l = begin(t, c)
	session("", "+OK 1 messages")
}

// The path of a Unix socket may be longer than the system takes.
func TestLongSocketPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 20), strings.Repeat("long-", 20))
	if err := MakeData(dir); err != nil {
		t.Fatal(err)
	}
	c := testConfig(t, config.Flags{Data: dir})
	path := filepath.Join(dir, "lmtp.sock")
	for range 2 { // the second finds what a killed server leaves
		l, err := bindUnix(t.Context(), path, c.Data, "")
		if err != nil {
			t.Fatal(err)
		}
		if addressOf(l.Addr()) != "unix:"+path {
			t.Errorf("the address is %s", addressOf(l.Addr()))
		}
		if _, err := bindUnix(t.Context(), path, c.Data, ""); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a socket in use: %v", err)
		}
		if err := l.(*unixListener).UnixListener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bindUnix(t.Context(), path, c.Data, ""); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a file in its place: %v", err)
	}
}
