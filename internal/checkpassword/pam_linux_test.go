// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package checkpassword

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/internal/peers"
	"restante.example/maildrop"
)

// documented returns the helper that docs/users.md shows, and the settings of PAM
// for it.
func documented(t *testing.T) (program, service string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var b strings.Builder
		for line := range strings.Lines(block + "\n") {
			b.WriteString(strings.TrimPrefix(line, "    "))
		}
		switch {
		case strings.HasPrefix(block, "    #!/usr/bin/perl"):
			program = b.String()
		case strings.HasPrefix(block, "    auth "):
			service = b.String()
		}
	}
	if program == "" || service == "" {
		t.Fatal("docs/users.md has no helper for PAM")
	}
	return program, service
}

// TestPAM: the helper of the documentation asks PAM, whose pam_unix looks into
// files of the test: they are put in the place of the system's for these
// processes alone.
func TestPAM(t *testing.T) {
	peers.NeedRoot(t)
	perl, unshare := peers.Need(t, "perl"), peers.Need(t, "unshare")
	if err := exec.Command(perl, "-MAuthen::PAM", "-e", "1").Run(); err != nil {
		peers.Missing(t, "perl cannot ask PAM: apt-get install libauthen-pam-perl, or ./check")
	}
	program, service := documented(t)
	dir := t.TempDir()
	hash, err := exec.Command(peers.Need(t, "openssl"), "passwd", "-6", "right one").Output()
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.TrimSpace(string(hash))
	for name, text := range map[string]string{
		"helper": program, "pam.d/restante": service,
		"passwd": "root:x:0:0::/root:/bin/sh\nana:x:54321:54321::/:/bin/sh\nold:x:54322:54321::/:/bin/sh\n",
		"shadow": "root:*:19000::::::\nana:" + sum + ":19000::::::\nold:" + sum + ":19000:::::1:\n",
		"enter": `set -e
mount --make-rprivate /
for file in pam.d passwd shadow; do mount --bind "` + dir + `/$file" "/etc/$file"; done
exec "$@"
`,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(unshare, "--mount", "/bin/sh", filepath.Join(dir, "enter"), "true").CombinedOutput(); err != nil {
		peers.Missing(t, "this machine lets no process have mounts of its own, which the test of PAM needs: %v, %s", err, out)
	}
	h := script(t, "")
	h.Command = []string{unshare, "--mount", "/bin/sh", filepath.Join(dir, "enter"), perl, filepath.Join(dir, "helper")}
	if name, err := ask(h, "ana", "right one"); err != nil || name != "" && name != "ana" {
		t.Errorf("the right password: %q, %v", name, err)
	}
	for name, password := range map[string]string{"ana": "wrong", "nobody": "right one", "old": "right one"} {
		if _, err := ask(h, name, password); !errors.Is(err, maildrop.ErrCredentials) {
			t.Errorf("%s with %q: %v", name, password, err)
		}
	}
	// A service that is not there, or a module, is no wrong password.
	if err := os.WriteFile(filepath.Join(dir, "pam.d/restante"), []byte("auth required pam_nonexistent.so\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(h, "ana", "right one"); err == nil || errors.Is(err, maildrop.ErrCredentials) {
		t.Errorf("a module that is missing: %v", err)
	}
}
