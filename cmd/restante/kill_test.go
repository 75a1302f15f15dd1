// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/pop3server/pop3fault"
)

const (
	killMail       = 400 // messages in a collection
	killsEach      = 8   // before a collection is let come to its end
	defaultKills   = 20
	killsVariable  = "RESTANTE_KILLS" // how many in all; 200 in the longer run
	collectionTime = 2 * time.Minute  // after which a collection hangs
)

// restante is the command, run as people run it.
func restante(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("restante") // installed by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "RESTANTE_PASSWORD=secret", "LANG=C")
	return cmd
}

// TestKilledAtAnyInstant kills real collections by SIGKILL, again and again,
// until they come to their end, and then compares by content.
func TestKilledAtAnyInstant(t *testing.T) {
	kills := defaultKills
	if s := os.Getenv(killsVariable); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	begun := time.Now()
	killed(t, random, "maildir", false, 0, 0)
	span := time.Since(begun)
	landed := 0
	for round := 0; landed < kills; round++ {
		if round > 5*kills {
			t.Fatalf("only %d of %d kills met a collection", landed, kills)
		}
		kind := []string{"maildir", "mbox", "eml"}[round/2%3]
		landed += killed(t, random, kind, round%2 == 1, min(killsEach, kills-landed), span)
	}
	t.Logf("%d kills", landed)
}

// killed collects once, killed up to n times, and returns how often.
func killed(t *testing.T, random *rand.Rand, kind string, remove bool, n int, span time.Duration) (landed int) {
	t.Helper()
	server, err := pop3fault.Start(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(killMail, 1500)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	place := filepath.Join(dir, "mail")
	args := []string{"fetch", "--server", server.Address(), "--tls", "none", "--user", "u1", "--crlf",
		"--to", kind + ":" + place, "--state", filepath.Join(dir, "state")}
	if remove {
		args = append(args, "--delete")
	}
	for {
		cmd := restante(t, args...)
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		deadline := collectionTime
		if landed < n {
			deadline = time.Duration(random.Int64N(int64(span)))
		}
		select {
		case err = <-ended:
		case <-time.After(deadline):
			if landed >= n {
				t.Fatalf("%s: hangs\n%s", kind, &output)
			}
			if e := cmd.Process.Kill(); e != nil && !errors.Is(e, os.ErrProcessDone) {
				t.Fatal(e)
			}
			err = <-ended
		}
		if cmd.ProcessState.Exited() {
			if err != nil {
				t.Fatalf("%s: %v\n%s", kind, err, &output)
			}
			break
		}
		landed++
	}
	counts := contents(t, kind, place)
	for i, m := range server.Messages() {
		if got := counts[m.Sum()]; got != 1 {
			t.Errorf("%s, delete %t, after %d kills: message %d is there %d times", kind, remove, landed, i+1, got)
		}
		if r := server.Records()[i]; r.Deleted != remove {
			t.Errorf("%s, delete %t: message %d deleted: %t", kind, remove, i+1, r.Deleted)
		}
		delete(counts, m.Sum())
	}
	if len(counts) > 0 {
		t.Errorf("%s: %d things that were never sent", kind, len(counts))
	}
	if kind == "maildir" {
		if left, err := os.ReadDir(filepath.Join(place, "tmp")); err != nil || len(left) > 0 {
			t.Errorf("tmp holds %d files, %v", len(left), err)
		}
	}
	return landed
}

var (
	fromLine   = regexp.MustCompile("(?m)^From .*\r\n")
	quotedFrom = regexp.MustCompile("(?m)^>(>*From )")
)

// contents counts what is at a destination, by SHA-256.
func contents(t *testing.T, kind, place string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	add := func(text string) {
		sum := sha256.Sum256([]byte(text))
		counts[hex.EncodeToString(sum[:])]++
	}
	if kind == "mbox" {
		data, err := os.ReadFile(place)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range fromLine.Split(string(data), -1)[1:] {
			add(quotedFrom.ReplaceAllString(strings.TrimSuffix(text, "\r\n"), "$1"))
		}
		return counts
	}
	dirs := []string{place}
	if kind == "maildir" {
		dirs = []string{place + "/new", place + "/cur"}
	}
	for _, dir := range dirs {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			add(string(data))
		}
	}
	return counts
}

// TestTwoAtOnce: the second one says so, and leaves the account to the first.
func TestTwoAtOnce(t *testing.T) {
	server, err := pop3fault.Start(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.HangInMessage(2)}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	args := []string{"fetch", "--server", server.Address(), "--tls", "none", "--user", "u1", "--to", "eml:" + dir + "/e", "--state", dir + "/s"}
	first := restante(t, args...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for server.SignIns() == 0 {
		time.Sleep(5 * time.Millisecond) // another process is waited for
	}
	second := restante(t, args...)
	output, err := second.CombinedOutput()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != exitTempfail || !strings.Contains(string(output), "another restante") {
		t.Errorf("%v: %s", err, output)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	if n := server.SignIns(); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

// TestSignals stops collections into programs: the first signal lets the program
// that runs end and begins no other, the second ends the collection at once.
func TestSignals(t *testing.T) {
	for _, one := range []struct {
		name, program string
		signals       []syscall.Signal
	}{
		{"SIGTERM", "sleep 3", []syscall.Signal{syscall.SIGTERM}},
		{"SIGINT", "sleep 3", []syscall.Signal{syscall.SIGINT}},
		{"twice", "sleep 20", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}},
	} {
		for _, command := range []string{"fetch", "run"} {
			t.Run(command+" "+one.name, func(t *testing.T) {
				t.Parallel()
				stopped(t, command, one.program, one.signals)
			})
		}
	}
}

func stopped(t *testing.T, command, program string, signals []syscall.Signal) {
	server, err := pop3fault.Start(t.Context(), &pop3fault.Options{Messages: pop3fault.Numbered(20, 100)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	to := "pipe:echo >> " + begun + "; exec " + program
	args := []string{"fetch", "--server", server.Address(), "--tls", "none", "--user", "u1", "--to", to, "--state", dir + "/s"}
	if command == "run" {
		config := fmt.Sprintf("[accounts.a]\nserver = %q\ntls = \"none\"\nuser = \"u1\"\ninterval = \"1s\"\nto = [%q]\n", server.Address(), to)
		if err := os.WriteFile(dir+"/c", []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = []string{"run", "--config", dir + "/c", "--state", dir + "/s"}
	}
	cmd := restante(t, args...)
	output, err := os.Create(filepath.Join(dir, "output")) // a pipe would stay open with the program
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := func(name, text string) {
		t.Helper()
		for range 2000 {
			if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), text) {
				return
			}
			time.Sleep(5 * time.Millisecond) // another process is waited for
		}
		t.Fatalf("%s has no %q", name, text)
	}
	wait(begun, "\n")
	start := time.Now()
	for _, signal := range signals {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		wait(output.Name(), "stopping")
	}
	err = cmd.Wait()
	said, failed := os.ReadFile(output.Name())
	if failed != nil {
		t.Fatal(failed)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v\n%s", took, said)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case len(signals) > 1 && (!status.Signaled() || status.Signal() != signals[1]):
		t.Errorf("the second signal: %v\n%s", err, said)
	case len(signals) == 1 && command == "fetch" && (status.ExitStatus() != exitTempfail || !strings.Contains(string(said), "interrupted")):
		t.Errorf("%v\n%s", err, said)
	case len(signals) == 1 && command == "run" && err != nil:
		t.Errorf("%v\n%s", err, said)
	}
	if programs, err := os.ReadFile(begun); err != nil || len(programs) != 1 {
		t.Errorf("%d programs, %v\n%s", len(programs), err, said)
	}
}

// TestMemoryStaysFlat collects a message of 1 GiB and a line of 100 MiB.
func TestMemoryStaysFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes more than a gigabyte; run without -short")
	}
	server, err := pop3fault.Start(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.HugeMessage(2), pop3fault.HugeLine(3)}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	// The real program: the one of these tests has the server in it too.
	program := filepath.Join(dir, "restante")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	cmd := restante(t, "fetch", "--server", server.Address(), "--tls", "none", "--user", "u1", "--to", "maildir:"+dir+"/m", "--state", dir+"/s")
	cmd.Path = program
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	most := int64(usage.Maxrss)
	if runtime.GOOS != "darwin" {
		most <<= 10 // in kilobytes everywhere else
	}
	if most > 40<<20 {
		t.Errorf("%d MB of memory", most>>20)
	} else {
		t.Logf("%d MB of memory", most>>20)
	}
	list, err := os.ReadDir(dir + "/m/new")
	if err != nil || len(list) != 5 {
		t.Errorf("%d files, %v", len(list), err)
	}
}
