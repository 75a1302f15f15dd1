// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"restante.example/collect"
	"restante.example/pop3server/pop3fault"
)

type recordOf = pop3fault.Record

func needShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell; run on Unix")
	}
}

func TestPipe(t *testing.T) {
	needShell(t)
	dir := t.TempDir()
	d := openAt(t, `pipe:cat > "`+dir+`/$RESTANTE_KEY"; echo done`, Options{Output: new(bytes.Buffer)})
	var j collect.Memory
	a := account(serve(t), d)
	a.Keep.Delete = true
	if r := run(t, a, &j); !r.Complete() {
		t.Errorf("%+v", r)
	}
	expect(t, filesIn(t, dir), wanted(t, false))
}

func TestPipeFailures(t *testing.T) {
	needShell(t)
	out := filepath.Join(t.TempDir(), "out")
	for command, want := range map[string]string{
		"exit 75":                   "temporary failure",
		"echo no disk >&2; exit 73": "no disk",
		"kill -9 $$":                "killed",
		"exit 1":                    "status 1",
		"/no/such/program":          "not found",
		"cat > /dev/null; printf '\\033[2J' >&2; exit 67": "?[2J",
	} {
		d := openAt(t, "pipe:"+command, Options{})
		it := item(t, d, "k", "Subject: x\r\n\r\n"+strings.Repeat("much\r\n", 20_000))
		d.Prepare(t.Context(), []*collect.Item{it})
		d.File(t.Context(), []*collect.Item{it})
		if it.Err == nil || !strings.Contains(it.Err.Error(), want) {
			t.Errorf("%s: %v", command, it.Err)
		}
		if missing := strings.HasPrefix(command, "/no"); errors.Is(it.Err, collect.ErrUnavailable) != missing {
			t.Errorf("%s: %v", command, it.Err)
		}
	}
	// One message that the program refuses keeps no other from it.
	d := openAt(t, "pipe:cat > "+out+".new; if grep -q 'letter 3' "+out+".new; then exit 65; fi; cat "+out+".new >> "+out, Options{})
	var j collect.Memory
	a := account(serve(t), d)
	a.Keep.Delete = true
	r := run(t, a, &j)
	if r.Left != 1 || r.Deleted != len(letters())-1 {
		t.Errorf("%+v", r)
	}
	data, err := os.ReadFile(out)
	want := strings.Join(wanted(t, false), "")
	if err != nil || len(data) != len(want)-len(wanted(t, false)[2]) {
		t.Errorf("%d octets, %v", len(data), err)
	}
}

// Passwords of accounts are not for the programs that get their mail.
func TestPipeGetsNoPasswords(t *testing.T) {
	needShell(t)
	for _, name := range []string{"RESTANTE_PASSWORD", "RESTANTE_PASSWORD_WORK", "RESTANTE_OTHER"} {
		t.Setenv(name, "in the environment")
	}
	path := filepath.Join(t.TempDir(), "env")
	d := openAt(t, "pipe:cat >/dev/null; env > "+path, Options{})
	file(t, d, item(t, d, "k", "Subject: x\r\n\r\n"))
	env := textIn(t, path)
	if strings.Contains(env, "RESTANTE_PASSWORD") {
		t.Error("it has a password")
	}
	for _, want := range []string{"RESTANTE_OTHER=", "RESTANTE_KEY=k\n", "RESTANTE_ACCOUNT=a\n", "PATH="} {
		if !strings.Contains(env, want) {
			t.Errorf("it has no %s", want)
		}
	}
}

// What a program started may hold its output and live on; the message is its.
func TestPipeThatLeavesSomebodyBehind(t *testing.T) {
	needShell(t)
	pid := filepath.Join(t.TempDir(), "pid")
	d := openAt(t, "pipe:cat >/dev/null; sleep 600 & echo $! > "+pid, Options{Output: new(bytes.Buffer)})
	d.(*pipe).wait = 1
	it := item(t, d, "k", "Subject: x\r\n\r\n")
	d.Prepare(t.Context(), []*collect.Item{it})
	d.File(t.Context(), []*collect.Item{it})
	if it.Err != nil {
		t.Error(it.Err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("/bin/sh", "-c", "kill "+string(text)).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
}
