// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/collect"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// fatal are faults in front of which nothing can be collected, and which end
// in an error.
var fatal = map[string]bool{"EndlessUIDL": true, "EndlessLIST": true, "HugeGreeting": true, "BrokenSTLS": true, "InjectedBeforeTLS": true}

// lost are faults at which message 2, and only that, cannot be collected.
var lost = map[string]bool{
	"CutInMessage(2)": true, "NoFinalDot(2)": true, "RefuseMessage(2)": true, "EmptyMessage(2)": true, "GoneMessage(2)": true,
	"EndlessMessage(2)": true, "HangInMessage(2)": true,
}

// TestEveryFault collects three times from a server with each fault, keeping
// and deleting: nothing is lost, nothing is doubled, nothing hangs.
func TestEveryFault(t *testing.T) {
	for _, fault := range pop3fault.All() {
		for _, remove := range []bool{false, true} {
			name := fault.Name + "/keep"
			if remove {
				name = fault.Name + "/delete"
			}
			t.Run(name, func(t *testing.T) {
				switch fault.Name {
				case "HugeMessage(2)", "HugeLine(2)", "EndlessMessage(2)":
					if testing.Short() {
						t.Skip("moves a gigabyte; run without -short")
					}
				}
				// In the bubble a second costs nothing, and what hangs is seen.
				synctest.Test(t, func(t *testing.T) { collectDespite(t, fault, remove) })
			})
		}
	}
}

func collectDespite(t *testing.T, fault pop3fault.Fault, remove bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	server, err := pop3fault.New(ctx, &pop3fault.Options{Faults: []pop3fault.Fault{fault}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := t.TempDir()
	d, err := Open("maildir:"+dir, Options{CRLF: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.(*maildir).Close()
	var j collect.Memory
	a := account(server, d)
	a.Options = pop3client.Options{Dialer: server, InsecurePassword: true, Timeout: 30 * time.Second, MaxMessage: 2 << 30, SizeSlack: 16 << 20}
	if fault.Name == "BrokenSTLS" || fault.Name == "InjectedBeforeTLS" {
		a.Dial = collect.DialSTLS("localhost")
	}
	if fault.Name == "OneOctetASecond" {
		a.Options.MinRate = -1 // slow is all that it is
	}
	a.Keep.Delete = remove
	var report *collect.Report
	for range 3 {
		report, err = collect.Run(ctx, a, &j)
		if ctx.Err() != nil {
			t.Fatal("hangs")
		}
	}
	if fatal[fault.Name] {
		if err == nil {
			t.Error("no error")
		}
		return
	}
	want := server.Messages()
	if lost[fault.Name] {
		if fault.Name != "GoneMessage(2)" && report.Left != 1 {
			t.Errorf("left %d: %+v", report.Left, report)
		}
		want = append(want[:1], want[2:]...)
	} else if err != nil || !report.Complete() {
		t.Errorf("%v, %+v", err, report)
	}
	counts := make(map[string]int)
	names, err := os.ReadDir(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		data, err := os.ReadFile(filepath.Join(dir, "new", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		counts[hex.EncodeToString(sum[:])]++
	}
	for i, m := range want {
		if n := counts[m.Sum()]; n != 1 {
			t.Errorf("message %d of those to be had is there %d times", i+1, n)
		}
		delete(counts, m.Sum())
	}
	if len(counts) > 0 {
		t.Errorf("%d files that were never sent whole", len(counts))
	}
	for i, r := range server.Records() {
		if r.Deleted && !remove {
			t.Errorf("message %d was deleted without being asked to", i+1)
		}
		if i == 1 && r.Deleted && lost[fault.Name] && fault.Name != "GoneMessage(2)" {
			t.Error("deleted what was not collected")
		}
	}
}
