// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/pop3"
	"restante.example/pop3server/pop3fault"
)

// outcome is what a whole collection came to.
type outcome struct {
	dial, signIn, list, uidl, retr, dele, quit error

	rows    []Row // of UIDL
	sums    map[int]string
	octets  map[int]int64
	refused []int
}

func (o outcome) first() error {
	return errors.Join(o.dial, o.signIn, o.list, o.uidl, o.retr, o.dele, o.quit)
}

// collect does what a mail program does: list, retrieve all, delete what came
// whole, QUIT. Without a listing of unique ids it goes on with LIST alone.
func collect(ctx context.Context, server *pop3fault.Server, opt Options) (o outcome) {
	opt.Dialer = server
	opt.TLS = &tls.Config{RootCAs: server.Roots()}
	c, err := DialSTLS(ctx, "localhost", &opt)
	if o.dial = err; err != nil {
		return o
	}
	defer c.Close()
	if o.signIn = c.SignIn(ctx, u1); o.signIn != nil {
		return o
	}
	var wants []Want
	listed := map[int]bool{}
	for row, err := range c.List(ctx) {
		if o.list = err; err != nil {
			return o
		}
		if row.Number > 0 && !listed[row.Number] {
			listed[row.Number] = true
			wants = append(wants, Want{Number: row.Number, Size: row.Size})
		}
	}
	for row, err := range c.UIDL(ctx) {
		if o.uidl = err; err != nil {
			break
		}
		o.rows = append(o.rows, row)
	}
	if c.Err() != nil {
		return o
	}
	o.sums, o.octets = map[int]string{}, map[int]int64{}
	var done []int
	sum := sha256.New()
	for m, err := range c.RetrAll(ctx, slices.Values(wants)) {
		if o.retr = err; err != nil {
			if _, ok := errors.AsType[*pop3.Error](err); ok {
				o.retr, o.refused = nil, append(o.refused, m.Number)
			}
			continue
		}
		if o.retr = o.take(m, sum); o.retr == nil {
			done = append(done, m.Number)
		}
	}
	if o.retr != nil {
		return o
	}
	for _, err := range c.DeleAll(ctx, slices.Values(done)) {
		o.dele = errors.Join(o.dele, err)
	}
	if o.dele == nil {
		o.quit = c.Quit(ctx)
	}
	return o
}

func (o *outcome) take(m *Message, sum hash.Hash) error {
	sum.Reset()
	n, err := io.Copy(sum, m)
	if err != nil {
		return err
	}
	o.sums[m.Number], o.octets[m.Number] = hex.EncodeToString(sum.Sum(nil)), n
	return nil
}

// expected is what a fault may spoil; what is not named here must be right.
type expected struct {
	stage   func(outcome) error // where it shows
	err     error               // what it is; nil: a refusal without a code
	whole   []int               // what came whole; nil: everything
	refused []int
	empty   []int
}

var everywhere = map[string]expected{
	"CutInMessage(2)":             {stage: atRETR, err: io.ErrUnexpectedEOF, whole: []int{1}},
	"NoFinalDot(2)":               {stage: atRETR, err: io.ErrUnexpectedEOF, whole: []int{1}},
	"RefuseMessage(2)":            {whole: []int{1, 3}, refused: []int{2}},
	"GoneMessage(2)":              {whole: []int{1, 3}, refused: []int{2}},
	"EmptyMessage(2)":             {whole: []int{1, 3}, empty: []int{2}},
	"EndlessMessage(2)":           {stage: atRETR, err: ErrLimit, whole: []int{1}},
	"HangInMessage(2)":            {stage: atRETR, err: os.ErrDeadlineExceeded, whole: []int{1}},
	"MissingRows":                 {whole: []int{1, 3}},
	"NoUIDL":                      {stage: atUIDL},
	"EndlessUIDL":                 {stage: atUIDL, err: ErrLimit, whole: []int{}},
	"EndlessLIST":                 {stage: atLIST, err: ErrLimit, whole: []int{}},
	"LyingCAPA":                   {stage: atUIDL},
	"HangingCAPA":                 {stage: atSignIn, err: ErrNoCapabilities, whole: []int{}},
	"BrokenPipelining":            {stage: atRETR, err: ErrPipelining, whole: []int{1}},
	"BrokenSTLS":                  {stage: atDial, err: errTLS, whole: []int{}},
	"RefuseSignIn(1,IN-USE)":      {stage: atSignIn, err: pop3.CodeInUse, whole: []int{}},
	"RefuseSignIn(1,LOGIN-DELAY)": {stage: atSignIn, err: pop3.CodeLoginDelay, whole: []int{}},
	"RefuseSignIn(1,SYS/TEMP)":    {stage: atSignIn, err: pop3.CodeSysTemp, whole: []int{}},
	"QUITReplyLost":               {stage: atQUIT, err: ErrQuitLost},
	"QUITDropped":                 {stage: atQUIT, err: ErrQuitLost},
	"QUITRefused":                 {stage: atQUIT, err: pop3.CodeSysTemp},
	"OneOctetASecond":             {stage: atSignIn, err: ErrNoCapabilities, whole: []int{}},
	"HugeGreeting":                {stage: atDial, err: ErrLimit, whole: []int{}},
}

func atDial(o outcome) error   { return o.dial }
func atSignIn(o outcome) error { return o.signIn }
func atLIST(o outcome) error   { return o.list }
func atUIDL(o outcome) error   { return o.uidl }
func atRETR(o outcome) error   { return o.retr }
func atQUIT(o outcome) error   { return o.quit }

// TestFaults: whatever the server does wrong, a collection ends, the error
// says what happened, and no message is taken for whole that is not. Time is
// simulated: a test that hung would be found to be deadlocked.
func TestFaults(t *testing.T) {
	for _, fault := range pop3fault.All() {
		t.Run(fault.Name, func(t *testing.T) {
			if testing.Short() && fault.Name == "HugeMessage(2)" {
				t.Skip("go test without -short retrieves the message of 1 GiB")
			}
			synctest.Test(t, func(t *testing.T) { collectFrom(t, fault) })
		})
	}
}

func collectFrom(t *testing.T, fault pop3fault.Fault) {
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{
		Faults: []pop3fault.Fault{fault}, Messages: pop3fault.Numbered(3, 400),
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	o := collect(t.Context(), server, Options{})
	if took := time.Since(begin); took > 10*time.Minute {
		t.Errorf("took %v", took)
	}
	want := everywhere[fault.Name]
	if want.stage == nil {
		if err := o.first(); err != nil {
			t.Error(err)
		}
	} else if err := want.stage(o); err == nil {
		t.Error("no error")
	} else if !isExpected(err, want.err) {
		t.Error(err)
	}
	messages := server.Messages()
	for i, m := range messages {
		switch n := i + 1; {
		case want.whole == nil || slices.Contains(want.whole, n):
			if o.sums[n] != m.Sum() {
				t.Errorf("message %d did not come whole", n)
			}
		case slices.Contains(want.empty, n):
			if octets, ok := o.octets[n]; !ok || octets != 0 {
				t.Errorf("message %d is not empty", n)
			}
		case o.sums[n] != "":
			t.Errorf("message %d was taken for whole", n)
		}
	}
	if !slices.Equal(o.refused, want.refused) {
		t.Errorf("refused %v", o.refused)
	}
	for i, r := range server.Records() {
		if r.Deleted && o.sums[i+1] == "" {
			t.Errorf("message %d is lost", i+1)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

// errTLS stands for what crypto/tls says about a peer that speaks no TLS.
var errTLS = errors.New("no TLS")

func isExpected(err, want error) bool {
	switch want {
	case nil:
		refusal, ok := errors.AsType[*pop3.Error](err)
		return ok && refusal.Code == ""
	case errTLS:
		_, ok := errors.AsType[tls.RecordHeaderError](err)
		return ok
	}
	return errors.Is(err, want)
}

// TestMemory: a large message costs no more memory than a small one.
func TestMemory(t *testing.T) {
	for _, fault := range []pop3fault.Fault{pop3fault.HugeLine(1), pop3fault.EndlessMessage(1)} {
		t.Run(fault.Name, func(t *testing.T) {
			server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{fault}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			c, err := New(t.Context(), dialed(t, server), clear)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SignIn(t.Context(), u1); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := c.Retr(t.Context(), Want{Number: 1, Size: 1000})
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, m)
			if n < 60<<20 || !errors.Is(err, ErrLimit) {
				t.Errorf("%d octets, %v", n, err)
			}
			runtime.ReadMemStats(&after)
			if all := after.TotalAlloc - before.TotalAlloc; all > 8<<20 {
				t.Errorf("%d octets of memory for %d", all, n)
			}
		})
	}
}

// TestSlow: a server that drips is found out, by the rate and by the bound on
// the session.
func TestSlow(t *testing.T) {
	for _, test := range []struct {
		name string
		opt  Options
		want error
		most time.Duration
	}{
		{"rate", Options{}, ErrTooSlow, 5 * time.Minute},
		{"session", Options{MinRate: -1, SessionTimeout: 5 * time.Minute}, os.ErrDeadlineExceeded, 5*time.Minute + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.OneOctetASecond()}})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				test.opt.SkipCapabilities, test.opt.InsecurePassword = true, true
				c, err := New(t.Context(), dialed(t, server), &test.opt)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.SignIn(t.Context(), u1); err != nil {
					t.Fatal(err)
				}
				m, err := c.Retr(t.Context(), Want{Number: 1})
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(io.Discard, m)
				if took := time.Since(begin); !errors.Is(err, test.want) || took > test.most {
					t.Errorf("%v after %v", err, took)
				}
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRefusalsPass: what was refused for a time is collected the next time,
// by the same code path.
func TestRefusalsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.RefuseSignIn(1, "IN-USE")}})
		if err != nil {
			t.Fatal(err)
		}
		o := collect(t.Context(), server, Options{})
		if refusal, ok := errors.AsType[*pop3.Error](o.signIn); !ok || !refusal.Temporary() || server.SignIns() != 1 {
			t.Errorf("%v, after %d tries", o.signIn, server.SignIns())
		}
		if o = collect(t.Context(), server, Options{}); o.first() != nil || len(o.sums) != 5 {
			t.Error(o.first())
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWithoutWhatFails: a server that fails at pipelining works without, and
// one that hangs at CAPA works without that.
func TestWithoutWhatFails(t *testing.T) {
	for _, test := range []struct {
		fault pop3fault.Fault
		opt   Options
	}{
		{pop3fault.BrokenPipelining(), Options{NoPipelining: true}},
		{pop3fault.HangingCAPA(), Options{SkipCapabilities: true}},
	} {
		t.Run(test.fault.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{test.fault}})
				if err != nil {
					t.Fatal(err)
				}
				if o := collect(t.Context(), server, test.opt); o.first() != nil || len(o.sums) != 5 {
					t.Error(o.first())
				}
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestUIDs: ids come as the server has them, without the blanks around them.
func TestUIDs(t *testing.T) {
	for _, test := range []struct {
		fault pop3fault.Fault
		want  string
	}{
		{pop3fault.UIDsWithBlanks(), "a b\tuid-1  c"},
		{pop3fault.LongUIDs(), strings.Repeat("x", 195) + "uid-1"},
		{pop3fault.EightBitUIDs(), "\xe9\xff\x80uid-1"},
		{pop3fault.TerminalEscapes(), "\x1b[31muid-1\x07"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{test.fault}})
			if err != nil {
				t.Fatal(err)
			}
			if o := collect(t.Context(), server, Options{}); o.first() != nil || o.rows[0].UID != test.want {
				t.Errorf("%s: %+v, %v", test.fault.Name, o.rows, o.first())
			}
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloseHidesNothing: a session that is closed, not QUIT, deletes nothing
// and does not count as retrieved at servers that hide what was.
func TestCloseHidesNothing(t *testing.T) {
	server, err := pop3fault.New(t.Context(), &pop3fault.Options{Faults: []pop3fault.Fault{pop3fault.HideRetrieved()}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), dialed(t, server), clear)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.SignIn(t.Context(), u1), c.Dele(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	m, err := c.Retr(t.Context(), Want{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), c.Close(), c.Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
	for _, r := range server.Records() {
		if r.Deleted || r.Hidden {
			t.Errorf("%+v", r)
		}
	}
}
