// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"restante": main})
}

// TestScripts runs the commands as people run them: the scripts are in
// testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("LANG", "C.UTF-8")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": startServer, "exits": exits, "files": files, "await": await, "envsubst": envsubst,
		},
	})
}

// faults are those that scripts can name.
var faults = map[string]pop3fault.Fault{
	"refused-message":   pop3fault.RefuseMessage(2),
	"empty-message":     pop3fault.EmptyMessage(2),
	"in-use":            pop3fault.RefuseSignIn(1000, "IN-USE"),
	"no-top":            pop3fault.NoTOP(),
	"escapes":           pop3fault.TerminalEscapes(),
	"quit-lost":         pop3fault.QUITDropped(),
	"hanging-capa":      pop3fault.HangingCAPA(),
	"broken-pipelining": pop3fault.BrokenPipelining(),
}

// server NAME [tls|no-stls|MESSAGES|FAULT]... starts a server with five
// messages, or as many as are named. $NAME is its address; with tls $NAME_CA is
// a file with its certificate and $NAME_PIN its fingerprint.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	opt := &pop3fault.Options{}
	for _, arg := range args[1:] {
		n, err := strconv.Atoi(arg)
		fault, ok := faults[arg]
		switch {
		case arg == "tls":
			opt.ImplicitTLS = true
		case arg == "no-stls":
			opt.NoSTLS = true
		case err == nil:
			opt.Messages = pop3fault.Numbered(n, 1000)
		case ok:
			opt.Faults = append(opt.Faults, fault)
		default:
			ts.Fatalf("no such fault: %s", arg)
		}
	}
	s, err := pop3fault.Start(context.Background(), opt)
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Setenv(args[0], s.Address())
	if !opt.ImplicitTLS {
		return
	}
	conn, err := tls.Dial("tcp", s.Address(), &tls.Config{RootCAs: s.Roots()})
	ts.Check(err)
	defer conn.Close()
	cert := conn.ConnectionState().PeerCertificates[0]
	file := ts.MkAbs(args[0] + ".pem")
	ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
	ts.Setenv(args[0]+"_CA", file)
	ts.Setenv(args[0]+"_PIN", pop3client.Fingerprint(cert))
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

// files COUNT DIR counts the files in a directory, each with its own content.
func files(ts *testscript.TestScript, _ bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[1]))
	ts.Check(err)
	seen := make(map[string]bool)
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(ts.MkAbs(args[1]), e.Name()))
		ts.Check(err)
		sum := sha256.Sum256(data)
		seen[hex.EncodeToString(sum[:])] = true
	}
	if fmt.Sprint(len(list)) != args[0] || len(seen) != len(list) {
		ts.Fatalf("%s has %d files, %d of them different; want %s", args[1], len(list), len(seen), args[0])
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

// envsubst FILE puts the values of variables into a file.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
