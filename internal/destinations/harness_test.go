// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restante.example/collect"
	"restante.example/pop3client"
	"restante.example/pop3server/pop3fault"
)

// letters are the mail of these tests: some awkward, and some of a usual kind.
func letters() []pop3fault.Message {
	texts := []string{
		"Subject: plain\r\n\r\nhello\r\n",
		"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nFrom here\r\n>From there\r\n",
		"Subject: LF\r\n\r\nbefore\n.\nafter\rlone\r\n",
		"Subject: no end of line at the end\r\n\r\nend\r\n",
		"Subject: octets\r\n\r\n\x00\xff\x80\r\n",
		"Subject: header only\r\n",
		"Subject: twin\r\n\r\ntwin\r\n",
		"Subject: twin\r\n\r\ntwin\r\n",
		"Subject: long\r\n\r\n" + strings.Repeat("x", 200_000) + "\r\n",
	}
	list := pop3fault.Numbered(20, 3000)
	for i, s := range texts {
		list = append(list, pop3fault.Text(fmt.Sprint("text-", i), s))
	}
	return list
}

func textOf(t *testing.T, m pop3fault.Message) string {
	t.Helper()
	data, err := io.ReadAll(m.Open())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func serve(t *testing.T, faults ...pop3fault.Fault) *pop3fault.Server {
	t.Helper()
	s, err := pop3fault.New(t.Context(), &pop3fault.Options{Messages: letters(), Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// account collects from a server in memory.
func account(s *pop3fault.Server, destinations ...collect.Destination) collect.Account {
	return collect.Account{
		ID:           "a",
		Dial:         collect.DialInsecure("pop.example.org"),
		Credentials:  collect.Password("u1", "secret"),
		Options:      pop3client.Options{Dialer: s, InsecurePassword: true},
		Destinations: destinations,
	}
}

func run(t *testing.T, a collect.Account, j collect.Journal) *collect.Report {
	t.Helper()
	report, err := collect.Run(t.Context(), a, j)
	if err != nil {
		t.Fatalf("%v, %+v", err, report)
	}
	return report
}

func openAt(t *testing.T, spec string, opt Options) collect.Destination {
	t.Helper()
	d, err := Open(spec, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c, ok := d.(io.Closer); ok {
			c.Close()
		}
	})
	return d
}

// filesIn returns the content of the files in a directory.
func filesIn(t *testing.T, dir string) (list []string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(data))
	}
	return list
}

// expect checks that got has each message as often as want.
func expect(t *testing.T, got, want []string) {
	t.Helper()
	counts := make(map[string]int)
	for _, s := range want {
		counts[s]++
	}
	for _, s := range got {
		counts[s]--
	}
	for s, n := range counts {
		if n != 0 {
			t.Errorf("%d too few (too many, where negative) of %.60q (%d octets)", n, s, len(s))
		}
	}
}

func wanted(t *testing.T, crlf bool) (list []string) {
	t.Helper()
	for _, m := range letters() {
		s := textOf(t, m)
		if !crlf {
			s = strings.ReplaceAll(s, "\r\n", "\n")
		}
		list = append(list, s)
	}
	return list
}

// item stages a message by hand.
func item(t *testing.T, d collect.Destination, key, text string) *collect.Item {
	t.Helper()
	staged, err := d.Stage(context.Background(), "a", int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(staged, text); err != nil {
		t.Fatal(err)
	}
	return &collect.Item{Staged: staged, Message: collect.Message{
		Account: "a", Key: key, Size: int64(len(text)), Time: time.Date(2026, 11, 23, 9, 15, 0, 0, time.UTC),
	}}
}
