// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// Tests may be run by root, and give nobody else their directories. The program
	// that they start is this one too, and is not to let itself.
	if filepath.Base(os.Args[0]) != "restanted" {
		if err := os.Setenv(asRootVariable, "yes"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"restanted": main})
}

// TestScripts runs the commands as people run them: the scripts are in
// testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name == "landlock" {
				return hasLandlock(), nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("LANG", "C.UTF-8")
			e.Setenv(asRootVariable, os.Getenv(asRootVariable))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "await": await, "talk": talkTo, "hold": hold, "mode": mode,
			"envsubst": envsubst, "signal": sendSignal, "keep": keepPassword,
			"linger": linger, "landlock": landlock,
		},
	})
}

// exits CODE PROGRAM ARGS... runs a program that must end with that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var status *exec.ExitError
	if errors.As(err, &status) {
		got = status.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || neg {
		ts.Fatalf("%s ended with status %d, want %d", args[1], got, want)
	}
}

// await FILE [TEXT] waits until a file is there, and holds the text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for range 1000 {
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && (len(args) < 2 || strings.Contains(string(data), args[1])) {
			return
		}
		time.Sleep(10 * time.Millisecond) // another process is waited for
	}
	ts.Fatalf("%s did not come", strings.Join(args, " with "))
}

// readyFile is what a ready file says.
type readyFile struct {
	PID               int
	POP3, POP3S, LMTP string
}

func (r readyFile) dial(service string) (net.Conn, error) {
	address := map[string]string{"pop3": r.POP3, "pop3s": r.POP3S, "lmtp": r.LMTP}[service]
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.DialTimeout("unix", path, 10*time.Second)
	}
	if service == "pop3s" {
		return tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // the certificate is tested elsewhere
	}
	return net.DialTimeout("tcp", address, 10*time.Second)
}

func open(ts *testscript.TestScript, file, service string) net.Conn {
	var ready readyFile
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &ready))
	conn, err := ready.dial(service)
	ts.Check(err)
	ts.Check(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	return conn
}

// talk SERVICE READYFILE LINE... says the lines, all at once, and shows all that
// is answered until the server hangs up. The last line is to be QUIT.
func talkTo(ts *testscript.TestScript, _ bool, args []string) {
	conn := open(ts, args[1], args[0])
	defer conn.Close()
	_, err := fmt.Fprint(conn, strings.Join(args[2:], "\r\n")+"\r\n")
	ts.Check(err)
	for in := bufio.NewScanner(conn); in.Scan(); {
		_, err := fmt.Fprintln(ts.Stdout(), in.Text())
		ts.Check(err)
	}
}

// hold READYFILE USER PASSWORD signs in by POP3 and stays until the script
// ends, or the server hangs up.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	conn := open(ts, args[0], "pop3")
	ts.Defer(func() { conn.Close() })
	_, err := fmt.Fprintf(conn, "USER %s\r\nPASS %s\r\nNOOP\r\n", args[1], args[2])
	ts.Check(err)
	in := bufio.NewReader(conn)
	for range 4 {
		line, err := in.ReadString('\n')
		ts.Check(err)
		if !strings.HasPrefix(line, "+OK") {
			ts.Fatalf("%s cannot sign in: %s", args[1], line)
		}
	}
}

// linger SERVICE READYFILE connects, waits for the greeting, and says nothing
// until the script ends.
func linger(ts *testscript.TestScript, _ bool, args []string) {
	conn := open(ts, args[1], args[0])
	ts.Defer(func() { conn.Close() })
	line, err := bufio.NewReader(conn).ReadString('\n')
	ts.Check(err)
	if !strings.HasPrefix(line, "+OK") {
		ts.Fatalf("greeted with %s", line)
	}
}

// mode PERMISSIONS FILE checks the permissions of a file.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// envsubst FILE puts the values of variables into a file.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// signal NAME READYFILE sends HUP or TERM to a server.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	var ready readyFile
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &ready))
	ts.Check(syscall.Kill(ready.PID, map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]))
}
