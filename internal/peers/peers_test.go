// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// fake stands for a test and keeps what it is told.
type fake struct {
	testing.TB
	skipped, failed string
}

func (f *fake) Helper() {}

func (f *fake) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fake) Fatalf(format string, args ...any) {
	f.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func try(test func(testing.TB)) *fake {
	f := &fake{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	return f
}

func TestNeed(t *testing.T) {
	t.Setenv("RESTANTE_PEERS", "")
	if path := Need(t, "sh"); !strings.HasSuffix(path, "/sh") {
		t.Errorf("sh is at %q", path)
	}
	missing := func(t testing.TB) { Need(t, "no-such-program") }
	if f := try(missing); f.failed != "" || !strings.Contains(f.skipped, "apt-get install no-such-program") {
		t.Errorf("a missing program: %+v", f)
	}
	t.Setenv("RESTANTE_PEERS", "required")
	if f := try(missing); f.skipped != "" || !strings.Contains(f.failed, "./check") {
		t.Errorf("a missing program that is required: %+v", f)
	}
}

func TestDirCanBeEntered(t *testing.T) {
	info, err := os.Stat(Dir(t))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestInstallScript: it is a script that a plain shell can read.
func TestInstallScript(t *testing.T) {
	if out, err := exec.Command("sh", "-n", "install.sh").CombinedOutput(); err != nil {
		t.Errorf("install.sh: %v\n%s", err, out)
	}
}
