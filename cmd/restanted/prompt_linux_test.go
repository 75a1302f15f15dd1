// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"restante.example/internal/peers"
)

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) (here, there *os.File) {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		peers.Missing(t, "no pseudo-terminal: %v; run it where /dev/ptmx can be opened", err)
	}
	n, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	there, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = here.Close()
		_ = there.Close()
	})
	return here, there
}

// While the password is typed, the terminal does not echo.
func TestPasswordIsNotShown(t *testing.T) {
	here, there := terminal(t)
	restanted, err := exec.LookPath("restanted") // installed by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "d")
	cmd := exec.Command(restanted, "user", "add", "ana", "--data", data)
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = there, &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"correct horse\n", "correct horse\n"} {
		for silent := false; !silent; {
			state, err := unix.IoctlGetTermios(int(there.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			silent = state.Lflag&unix.ECHO == 0
			time.Sleep(5 * time.Millisecond) // the other process decides when
		}
		if _, err := here.WriteString(typed); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	if !bytes.Contains(output.Bytes(), []byte("User ana has been added.")) {
		t.Errorf("got %s", &output)
	}
	fd := int(here.Fd()) // asking again would make it wait again
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 4096)
	n, _ := unix.Read(fd, shown) // nothing to read is what is hoped for
	if n > 0 && bytes.Contains(shown[:n], []byte("horse")) {
		t.Errorf("the terminal showed %q", shown[:n])
	}
}
