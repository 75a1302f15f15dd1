// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// The tests of what is in force run in a process of their own, since nobody gets
// out of a sandbox.
func TestMain(m *testing.M) {
	if os.Getenv("RESTANTE_SANDBOXED") != "" {
		os.Exit(confinedProcess())
	}
	os.Exit(m.Run())
}

// attempt is what a confined process tries.
type attempt struct {
	Do, Path, Other string
}

// order is what a confined process is told, and answer what it says.
type (
	order struct {
		Needs Needs
		Tries []attempt
	}
	answer struct {
		Report Report
		Err    string
		Denied []bool
		Other  []string // errors of another kind
	}
)

func confinedProcess() int {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return 1
	}
	var a answer
	var err error
	if a.Report, err = Enter(o.Needs); err != nil {
		a.Err = err.Error()
	}
	for _, try := range o.Tries {
		err := try.run()
		a.Denied = append(a.Denied, errors.Is(err, fs.ErrPermission))
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			a.Other = append(a.Other, try.Do+": "+err.Error())
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return 1
	}
	return 0
}

func (a attempt) run() error {
	switch a.Do {
	case "read":
		_, err := os.ReadFile(a.Path)
		return err
	case "list":
		_, err := os.ReadDir(a.Path)
		return err
	case "write":
		return os.WriteFile(a.Path, []byte("x"), 0o600)
	case "move":
		return os.Rename(a.Path, a.Other)
	case "remove":
		return os.Remove(a.Path)
	case "link":
		return os.Symlink(a.Other, a.Path)
	case "run":
		return exec.Command(a.Path).Run()
	case "connect":
		conn, err := net.Dial(a.Other, a.Path)
		if err == nil {
			_ = conn.Close()
		}
		return err
	case "listen":
		l, err := net.Listen(a.Other, a.Path)
		if err == nil {
			_ = l.Close()
		}
		return err
	}
	return errors.New("there is no such attempt")
}

// confine runs attempts in a sandbox; each says whether it is to be denied.
func confine(t *testing.T, needs Needs, tries map[attempt]bool) Report {
	t.Helper()
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < abiFiles {
		t.Skip("this kernel has no Landlock; one of Linux 5.19 or later, where it is not switched off at boot, has it")
	}
	o := order{Needs: needs}
	for try := range tries {
		o.Tries = append(o.Tries, try)
	}
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RESTANTE_SANDBOXED=yes")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = stdin.Write(in)
		_ = stdin.Close()
	}()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	if a.Err != "" || len(a.Other) > 0 {
		t.Errorf("%s; %q", a.Err, a.Other)
	}
	for i, denied := range a.Denied {
		if try := o.Tries[i]; denied != tries[try] {
			t.Errorf("%+v: denied %v, want %v", try, denied, tries[try])
		}
	}
	return a.Report
}

func put(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is needed can be done, and nothing else.
func TestEnter(t *testing.T) {
	dir := t.TempDir()
	data, other, settings := filepath.Join(dir, "data"), filepath.Join(dir, "other"), filepath.Join(dir, "conf", "c.toml")
	mail := put(t, filepath.Join(data, "mail/new/1"))
	put(t, filepath.Join(data, "mail/cur/0"))
	gone := put(t, filepath.Join(data, "gone"))
	theirs, conf := put(t, filepath.Join(other, "letter")), put(t, settings)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := net.Listen("unix", filepath.Join(data, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	report := confine(t, Needs{Write: []string{data}, Read: []string{filepath.Dir(conf), filepath.Join(dir, "nowhere")}}, map[attempt]bool{
		{Do: "read", Path: conf}:                                           false,
		{Do: "write", Path: conf}:                                          true,
		{Do: "read", Path: "/etc/passwd"}:                                  false,
		{Do: "write", Path: "/dev/null"}:                                   false,
		{Do: "list", Path: filepath.Join(data, "mail/cur")}:                false,
		{Do: "move", Path: mail, Other: filepath.Join(data, "mail/cur/1")}: false,
		{Do: "write", Path: filepath.Join(data, "mail/new/2")}:             false,
		{Do: "remove", Path: gone}:                                         false,
		{Do: "link", Path: filepath.Join(data, "l"), Other: "/etc"}:        true,
		{Do: "listen", Path: filepath.Join(data, "s"), Other: "unix"}:      false,
		{Do: "connect", Path: filepath.Join(data, "sock"), Other: "unix"}:  false,
		{Do: "listen", Path: "127.0.0.1:0", Other: "tcp"}:                  false,
		{Do: "read", Path: theirs}:                                         true,
		{Do: "list", Path: dir}:                                            true,
		{Do: "write", Path: filepath.Join(other, "mine")}:                  true,
		{Do: "remove", Path: theirs}:                                       true,
		{Do: "run", Path: "/bin/true"}:                                     true,
	})
	if !report.Files {
		t.Errorf("%+v", report)
	}
	// What can be read can still not be run.
	confine(t, Needs{Read: []string{"/bin", "/lib", "/lib64", "/usr"}}, map[attempt]bool{
		{Do: "read", Path: "/bin/true"}: false, {Do: "run", Path: "/bin/true"}: true,
	})
	if report.ABI >= abiTCP {
		confine(t, Needs{}, map[attempt]bool{{Do: "connect", Path: l.Addr().String(), Other: "tcp"}: true})
		confine(t, Needs{Connect: true}, map[attempt]bool{{Do: "connect", Path: l.Addr().String(), Other: "tcp"}: false})
	}
	if report.ABI >= abiScope {
		abstract, err := net.Listen("unix", "@restante-sandbox-"+filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer abstract.Close()
		name := abstract.Addr().String()
		confine(t, Needs{}, map[attempt]bool{{Do: "connect", Path: name, Other: "unix"}: true})
		confine(t, Needs{Abstract: true}, map[attempt]bool{{Do: "connect", Path: name, Other: "unix"}: false})
	}
}

// A certificate that is renewed as certbot does it can be read: the name is a
// link to a file in another directory, and then to another file there.
func TestRenewedThroughLinks(t *testing.T) {
	dir := t.TempDir()
	first := put(t, filepath.Join(dir, "archive/mail/fullchain1.pem"))
	second := put(t, filepath.Join(dir, "archive/mail/fullchain2.pem"))
	other := put(t, filepath.Join(dir, "archive/other/privkey1.pem"))
	live := filepath.Join(dir, "live/mail/fullchain.pem")
	if err := os.MkdirAll(filepath.Dir(live), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../archive/mail/fullchain1.pem", live); err != nil {
		t.Fatal(err)
	}
	confine(t, Needs{Renewed: []string{live}}, map[attempt]bool{
		{Do: "read", Path: live}: false, {Do: "read", Path: first}: false, {Do: "read", Path: second}: false,
		{Do: "read", Path: other}: true, {Do: "write", Path: second}: true,
	})
}

// A helper runs and reads what it likes, and writes nothing that the server
// could not write.
func TestHelpersRun(t *testing.T) {
	dir := t.TempDir()
	theirs := put(t, filepath.Join(dir, "theirs"))
	confine(t, Needs{Run: true}, map[attempt]bool{
		{Do: "run", Path: "/bin/true"}: false, {Do: "read", Path: theirs}: false, {Do: "write", Path: theirs}: true,
	})
}

func TestReading(t *testing.T) {
	n := Needs{Read: []string{"/etc/restante/", "/srv/b", "/srv"}, Renewed: []string{"/etc/restante/tls/c.pem", "/etc/restante-2/k.pem"}}
	if got, want := n.reading(), []string{"/etc/restante", "/etc/restante-2", "/srv"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is asked for is more than any kernel must have: each does what it can.
func TestConfigIsValidAtEveryVersion(t *testing.T) {
	for _, n := range []Needs{{}, {Connect: true}, {Run: true, Abstract: true}} {
		c := n.config()
		if c.HandledAccessFS == 0 || (c.HandledAccessNet == 0) != n.Connect || c.Scoped == 0 {
			t.Errorf("%+v: %v", n, c)
		}
	}
}
