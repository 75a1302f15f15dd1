// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// unpacked returns the directory into which install.sh has unpacked the packages
// of a server, or skips the test. Debian's POP3 servers exclude each other, so
// they cannot be installed side by side.
func unpacked(t testing.TB, server string) string {
	t.Helper()
	dir := os.Getenv("RESTANTE_PEERS_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, ".cache", "restante-peers")
	}
	dir = filepath.Join(dir, server)
	if _, err := os.Stat(dir); err != nil {
		Missing(t, "%s is not unpacked in %s: internal/peers/install.sh as root, or ./check, does that", server, dir)
	}
	return dir
}

// jail is a root directory with a server and what it needs, for servers whose
// paths, and whose users, cannot be set.
type jail struct {
	root string
	tree string
	libs []string // where the tree has libraries
}

// courierID is the user as whom Courier's TLS program runs in a jail.
const courierID = 64997

// newJail makes a root directory with one user, whose mail belongs to uid and
// gid and whose home is /home/ana. It needs root.
func newJail(t testing.TB, tree string, uid, gid int) *jail {
	t.Helper()
	NeedRoot(t)
	j := &jail{root: Dir(t), tree: tree}
	seen := make(map[string]bool)
	err := filepath.WalkDir(tree, func(path string, _ os.DirEntry, err error) error {
		if dir := filepath.Dir(path); strings.Contains(filepath.Base(path), ".so") && !seen[dir] {
			seen[dir] = true
			j.libs = append(j.libs, dir)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.TrimSpace(run(t, Need(t, "openssl"), "passwd", "-6", thePassword))
	id := itoa(uid) + ":" + itoa(gid)
	j.write(t, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n"+theUser+":x:"+id+"::/home/"+theUser+":/bin/sh\n"+
		"popa3d:x:64998:64998::/var/empty:/bin/false\ncourier:x:"+itoa(courierID)+":"+itoa(courierID)+"::/var/empty:/bin/false\n", 0o644)
	j.write(t, "/etc/shadow", "root:*:19000::::::\n"+theUser+":"+hash+":19000::::::\n"+
		"popa3d:*:19000::::::\ncourier:*:19000::::::\n", 0o600)
	j.write(t, "/etc/group", "root:x:0:\nmail:x:8:\n"+theUser+":x:"+itoa(gid)+":\npopa3d:x:64998:\ncourier:x:"+itoa(courierID)+":\n", 0o644)
	j.write(t, "/etc/nsswitch.conf", "passwd: files\nshadow: files\ngroup: files\nhosts: files\n", 0o644)
	j.write(t, "/etc/hosts", "127.0.0.1 localhost\n", 0o644)
	for path, mode := range map[string]os.FileMode{
		"/var/empty": 0o755, "/var/lib/popa3d": 0o755, "/var/mail": 0o777 | os.ModeSticky, "/tmp": 0o777 | os.ModeSticky, "/dev": 0o755, "/run": 0o755,
	} {
		if err := os.MkdirAll(j.path(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(j.path(path), mode); err != nil {
			t.Fatal(err)
		}
	}
	for path, minor := range map[string]int{"/dev/null": 3, "/dev/urandom": 9} {
		if err := syscall.Mknod(j.path(path), syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			t.Fatalf("making %s: %v", path, err)
		}
		if err := os.Chmod(j.path(path), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// path returns where a file of the jail is.
func (j *jail) path(inside string) string { return filepath.Join(j.root, inside) }

// write writes a file of the jail.
func (j *jail) write(t testing.TB, inside, text string, mode os.FileMode) {
	t.Helper()
	writeFile(t, j.path(inside), text, mode)
}

// put copies a file of the test into the jail, where uid and gid alone read it.
func (j *jail) put(t testing.TB, from, inside string, uid, gid int) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	j.write(t, inside, string(text), 0o600)
	give(t, j.path(inside), uid, gid)
}

// usePAM lets a service of the jail check passwords by its shadow file.
func (j *jail) usePAM(t testing.TB, service string) {
	t.Helper()
	j.write(t, "/etc/pam.d/"+service, "auth required pam_unix.so\naccount required pam_unix.so\n", 0o644)
	found, err := filepath.Glob("/lib/*/security/pam_unix.so")
	if err != nil || len(found) == 0 {
		Missing(t, "there is no pam_unix.so: apt-get install libpam-modules, or ./check")
	}
	j.take(t, found[0])
}

// take puts files of the unpacked tree, or of this machine, at their places in
// the jail, with the libraries that they need.
func (j *jail) take(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		from := filepath.Join(j.tree, path)
		if _, err := os.Stat(from); err != nil {
			from = path
		}
		if _, err := os.Stat(from); err != nil {
			Missing(t, "%s is neither in %s nor installed: internal/peers/install.sh, or ./check, unpacks it", path, j.tree)
		}
		j.copy(t, from)
		ldd := exec.Command("ldd", from)
		ldd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(j.libs, ":"))
		out, err := ldd.Output()
		if err != nil {
			t.Fatalf("ldd %s: %v\n%s", from, err, out)
		}
		for line := range strings.Lines(string(out)) {
			// "name => /path (address)", or "/path (address)" for the loader
			for _, word := range strings.Fields(line) {
				if strings.HasPrefix(word, "/") {
					j.copy(t, word)
				}
			}
			if strings.Contains(line, "not found") {
				Missing(t, "%s lacks a library, %s: internal/peers/install.sh, or ./check, unpacks it", from, strings.TrimSpace(line))
			}
		}
	}
}

// copy puts one file at its place in the jail, without the name of the tree.
func (j *jail) copy(t testing.TB, from string) {
	t.Helper()
	inside := strings.TrimPrefix(from, j.tree)
	if _, err := os.Stat(j.path(inside)); err == nil {
		return
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(j.path(inside)), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(j.path(inside), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// command returns a command that runs in the jail.
func (j *jail) command(env []string, path string, args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: path, Args: append([]string{path}, args...), Env: append([]string{"PATH=/usr/sbin:/usr/bin"}, env...), Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Chroot: j.root, Setpgid: true},
	}
}

// inetd listens on a loopback port and runs a command for each connection, as
// inetd does, until the test ends. It returns its address.
func inetd(t testing.TB, command func() *exec.Cmd) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	var mu sync.Mutex
	running := make(map[*exec.Cmd]struct{})
	closed := false
	serve := func(conn net.Conn) {
		defer sessions.Done()
		file, err := conn.(*net.TCPConn).File()
		conn.Close() // the command has its own
		if err != nil {
			t.Errorf("inetd: %v", err)
			return
		}
		cmd := command()
		cmd.Stdin, cmd.Stdout = file, file
		mu.Lock()
		if !closed {
			err = cmd.Start()
			running[cmd] = struct{}{}
		}
		file.Close()
		mu.Unlock()
		if err != nil {
			t.Errorf("inetd: %v", err)
		}
		if cmd.Process == nil {
			return
		}
		cmd.Wait() // how it ends shows in the conversation
		mu.Lock()
		delete(running, cmd)
		mu.Unlock()
	}
	sessions.Add(1)
	go func() {
		defer sessions.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed at the end of the test
			}
			sessions.Add(1)
			go serve(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		closed = true
		for cmd := range running {
			if cmd.Process != nil {
				cmd.Process.Kill()
			}
		}
		mu.Unlock()
		sessions.Wait()
	})
	return l.Addr().String()
}
