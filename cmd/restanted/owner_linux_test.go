// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"restante.example/internal/peers"
)

// nobody is a uid and gid without rights.
const nobody = 65534

// ownedDir makes a data directory that belongs to nobody.
func ownedDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(peers.Dir(t), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

func command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(installed(t), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// everythingBelongs checks that all in a directory belongs to nobody.
func everythingBelongs(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		n++
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != nobody {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
		if info.Mode().Perm()&0o007 != 0 && e.Type() != fs.ModeSocket && !strings.HasSuffix(name, ".crt") {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("%d files, %v", n, err)
	}
}

// Commands that root runs leave everything with the owner of the data, and the
// server is that owner once it has bound its ports.
func TestRootBecomesTheOwner(t *testing.T) {
	peers.NeedRoot(t)
	dir := ownedDir(t)
	command(t, killPassword+"\n", "user", "add", "ana", "--password-stdin", "--data", dir)
	command(t, "Subject: x\n\nhello\n", "deliver", "ana", "--data", dir)
	everythingBelongs(t, dir)

	ready := startServer(t, dir, "--lmtp", "unix:"+filepath.Join(dir, "lmtp.sock"))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", ready.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t65534\t65534\t65534\t65534\n", "\nGid:\t65534\t65534\t65534\t65534\n"} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("the server did not become the owner: %s", status)
		}
	}
	if bytes.Contains(status, []byte("\nGroups:\t0 \n")) {
		t.Error("the server kept the group of root")
	}
	command(t, "Subject: y\n\nhello\n", "deliver", "ana", "--data", dir)
	if out := command(t, "", "status", "--data", dir); !strings.Contains(out, "users: 1;") {
		t.Errorf("status: %s", out)
	}
	everythingBelongs(t, dir)
	if info, err := os.Lstat(filepath.Join(dir, "lmtp.sock")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket of LMTP: %v, %v", info, err)
	}
}

// A tree that the server's uid cannot read is reported by name.
func TestCheckConfigTriesAsTheOwner(t *testing.T) {
	peers.NeedRoot(t)
	dir := ownedDir(t)
	tree := filepath.Join(peers.Dir(t), "mail")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	for user, owner := range map[string]int{"ana": nobody, "bob": 0} {
		for _, sub := range []string{"", "Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"} {
			name := filepath.Join(tree, user, sub)
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(name, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(filepath.Join(tree, "bob"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "c.toml")
	text := fmt.Sprintf("data = %q\nmaildir = %q\n", dir, tree+"/{user}/Maildir")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(installed(t), "check-config", "--config", file).CombinedOutput()
	if status, ok := err.(*exec.ExitError); !ok || status.ExitCode() != exitConfig {
		t.Errorf("ended with %v", err)
	}
	if !bytes.Contains(out, []byte(filepath.Join(tree, "bob"))) || bytes.Contains(out, []byte(filepath.Join(tree, "ana"))) {
		t.Errorf("got %s", out)
	}
}

// Root does not serve, neither in a directory of its own nor in one that is not
// there yet, and leaves nothing behind.
func TestRootDoesNotServe(t *testing.T) {
	peers.NeedRoot(t)
	owned := t.TempDir()
	missing := filepath.Join(t.TempDir(), "data")
	for _, dir := range []string{owned, missing} {
		cmd := exec.Command(installed(t), "serve", "--data", dir, "--pop3s", "127.0.0.1:0", "--lmtp", "off")
		for _, one := range os.Environ() {
			if !strings.HasPrefix(one, asRootVariable+"=") {
				cmd.Env = append(cmd.Env, one)
			}
		}
		out, err := cmd.CombinedOutput()
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != exitConfig {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
		for _, want := range []string{"does not serve as root", "useradd --system --home-dir " + dir, "chown -R restante: " + dir, "--insecure-serve-as-root"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q is missing in\n%s", dir, want, out)
			}
		}
	}
	if left, err := os.ReadDir(owned); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it made %s: %v", missing, err)
	}
}
