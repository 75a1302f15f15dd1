// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"restante.example/collect"
	"restante.example/internal/wire"
)

// office is an LMTP server that shares no code with ours.
type office struct {
	mu         sync.Mutex
	texts      []string
	recipients []string
	sessions   int
	refuse     func(recipient string, n int) error
}

func (o *office) NewSession(*smtp.Conn) (smtp.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions++
	return &officeSession{o: o}, nil
}

type officeSession struct {
	o  *office
	to string
}

func (s *officeSession) Reset()                               {}
func (s *officeSession) Logout() error                        { return nil }
func (s *officeSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *officeSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.to = to
	if s.o.refuse != nil {
		return s.o.refuse(to, len(s.o.texts))
	}
	return nil
}

func (s *officeSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.texts = append(s.o.texts, string(data))
	s.o.recipients = append(s.o.recipients, s.to)
	return nil
}

func startOffice(t *testing.T, o *office, network, address string) net.Addr {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(o)
	server.LMTP, server.MaxLineLength, server.Domain = true, 1<<20, "localhost"
	var wait sync.WaitGroup
	wait.Go(func() { _ = server.Serve(listener) }) // ends with Close
	t.Cleanup(func() { server.Close(); wait.Wait() })
	return listener.Addr()
}

func TestLMTP(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		var o office
		var spec string
		if network == "unix" {
			if runtime.GOOS == "windows" {
				continue
			}
			path := filepath.Join(t.TempDir(), "s")
			startOffice(t, &o, "unix", path)
			spec = "lmtp:unix:" + path
		} else {
			spec = "lmtp:" + startOffice(t, &o, "tcp", "127.0.0.1:0").String()
		}
		d := openAt(t, spec, Options{Recipient: "u1@example.org", Timeout: 10 * time.Second})
		var j collect.Memory
		a := account(serve(t), d)
		a.Keep.Delete = true
		if r := run(t, a, &j); !r.Complete() {
			t.Errorf("%+v", r)
		}
		o.mu.Lock()
		// The oracle's reader takes CR LF apart from lone CRs and LFs in its own way.
		plain := func(list []string) (out []string) {
			for _, s := range list {
				if !strings.Contains(s, "lone") {
					out = append(out, s)
				}
			}
			return out
		}
		expect(t, plain(o.texts), plain(wanted(t, true)))
		if len(o.texts) != len(letters()) || o.sessions != 1 || slices.Compact(o.recipients)[0] != "u1@example.org" {
			t.Errorf("%d messages, %d sessions, %v", len(o.texts), o.sessions, slices.Compact(o.recipients))
		}
		o.mu.Unlock()
	}
}

func TestLMTPRefusals(t *testing.T) {
	o := office{refuse: func(_ string, n int) error {
		if n == 3 {
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full\x1b[2J"}
		}
		return nil
	}}
	address := startOffice(t, &o, "tcp", "127.0.0.1:0").String()
	d := openAt(t, "lmtp:"+address, Options{Recipient: "u1@example.org"})
	var j collect.Memory
	s := serve(t)
	r := run(t, account(s, d), &j)
	if r.Complete() || len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Err.Error(), "452") ||
		strings.Contains(r.Problems[0].Err.Error(), "\x1b") {
		t.Errorf("%+v", r)
	}
	o.mu.Lock()
	o.refuse = nil
	o.mu.Unlock()
	if r := run(t, account(s, d), &j); !r.Complete() || len(o.texts) != len(letters()) {
		t.Errorf("%+v, %d messages", r, len(o.texts))
	}
}

// A connection that was closed while it was idle is made anew.
func TestLMTPConnectionLost(t *testing.T) {
	var o office
	address := startOffice(t, &o, "tcp", "127.0.0.1:0").String()
	d := openAt(t, "lmtp:"+address, Options{Recipient: "u1@example.org"})
	file(t, d, item(t, d, "1", "Subject: 1\r\n\r\n"))
	d.(*lmtp).conn.conn.Close()
	file(t, d, item(t, d, "2", "Subject: 2\r\n\r\n"))
	if len(o.texts) != 2 || o.sessions != 2 {
		t.Errorf("%d messages, %d sessions", len(o.texts), o.sessions)
	}
}

// lmtpScript is a server that answers as it is told: a function of the number of
// the message, from 1, and of what came: the greeting, the first word of a line,
// or "." for the end of a message.
func lmtpScript(t *testing.T, answer func(n int, word string) string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	t.Cleanup(func() { listener.Close(); wait.Wait() })
	n := 1
	serve := func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // no test waits for ever
		say := func(word string) string {
			reply := answer(n, word)
			_, _ = io.WriteString(conn, reply) // who does not listen any more hangs up
			return reply
		}
		say("greeting")
		in := bufio.NewScanner(conn)
		for text := false; in.Scan(); {
			word, _, _ := strings.Cut(in.Text(), " ")
			if text && word != "." {
				continue
			}
			text = strings.HasPrefix(say(word), "354") && word == "DATA"
			if word == "." {
				n++
			}
		}
	}
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn) // one at a time
		}
	})
	return "lmtp:" + listener.Addr().String()
}

// A reply too many is not taken for that to the next command: no message counts
// as filed that the server has not taken.
func TestLMTPReplyTooMany(t *testing.T) {
	type moment struct {
		n      int
		word   string
		behind bool // the reply, not in front of it
	}
	for _, at := range []moment{
		{1, "greeting", true}, {1, "LHLO", true}, {1, "MAIL", true}, {1, "RCPT", true}, {1, "DATA", true}, {1, ".", true},
		{2, "MAIL", false}, {2, "RCPT", false}, {2, "DATA", false},
	} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			taken, strayed := 0, false
			d := openAt(t, lmtpScript(t, func(n int, word string) string {
				reply := "250 ok\r\n"
				switch {
				case word == "greeting":
					reply = "220 hi\r\n"
				case word == "DATA":
					reply = "354 go on\r\n"
				case word == "." && n == 1:
					taken++
					reply = "250 taken\r\n"
				case word == ".":
					reply = "452 disk full\r\n"
				}
				if strayed || n != at.n || word != at.word {
					return reply
				}
				strayed = true
				if at.behind {
					return reply + "250 stray\r\n"
				}
				return "250 stray\r\n" + reply
			}), Options{Recipient: "u@example.org", Timeout: 10 * time.Second})
			filed := 0
			for n := range 4 {
				it := item(t, d, fmt.Sprint(n), "Subject: x\r\n\r\n")
				d.Prepare(t.Context(), []*collect.Item{it})
				d.File(t.Context(), []*collect.Item{it})
				if it.Err == nil {
					filed++
				}
			}
			if filed != taken || !strayed {
				t.Errorf("%d filed, %d taken", filed, taken)
			}
		})
	}
}

// Only 354 lets a message follow, and only 2xx says that the server has it.
func TestLMTPRepliesToSomethingElse(t *testing.T) {
	for at, wrong := range map[string]string{
		"greeting": "354 x", "LHLO": "354 x", "MAIL": "354 x", "RCPT": "354 x", "DATA": "250 x", ".": "354 x",
	} {
		d := openAt(t, lmtpScript(t, func(_ int, word string) string {
			if word == at {
				return wrong + "\r\n"
			}
			if word == "DATA" {
				return "354 go on\r\n"
			}
			return "250 ok\r\n"
		}), Options{Recipient: "u@example.org", Timeout: 10 * time.Second})
		it := item(t, d, "k", "Subject: x\r\n\r\n")
		d.Prepare(t.Context(), []*collect.Item{it})
		d.File(t.Context(), []*collect.Item{it})
		var refusal *lmtpReply
		if it.Err == nil || errors.As(it.Err, &refusal) || d.(*lmtp).conn != nil {
			t.Errorf("%s after %s: %v", wrong, at, it.Err)
		}
	}
}

// hasty is a connection whose nth step is interrupted just as it begins. It waits
// for that, but not for ever: one step is not broken off.
type hasty struct {
	net.Conn
	n           int
	cancel      context.CancelFunc
	interrupted chan struct{}
}

func (c *hasty) SetDeadline(at time.Time) error {
	if at.Before(time.Now()) {
		defer close(c.interrupted)
		return c.Conn.SetDeadline(at)
	}
	if c.n--; c.n == 0 {
		c.cancel()
		select {
		case <-c.interrupted:
		case <-time.After(time.Second):
		}
	}
	return c.Conn.SetDeadline(at)
}

// Who is told to stop does so at every step, however long the server takes,
// except when it has the message whole: then its reply counts.
func TestLMTPStops(t *testing.T) {
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		var taken atomic.Int32
		d := openAt(t, lmtpScript(t, func(_ int, word string) string {
			switch {
			case word == ".":
				taken.Add(1)
			case ctx.Err() != nil:
				return ""
			case word == "DATA":
				return "354 go on\r\n"
			}
			return "250 ok\r\n"
		}), Options{Recipient: "u@example.org", Timeout: 15 * time.Second}).(*lmtp)
		file(t, d, item(t, d, "1", "Subject: 1\r\n\r\n"))
		conn := d.conn.conn
		d.conn.conn = &hasty{conn, n, cancel, make(chan struct{})}
		it := item(t, d, "2", "Subject: 2\r\n\r\n")
		d.Prepare(t.Context(), []*collect.Item{it})
		begun := time.Now()
		d.File(ctx, []*collect.Item{it})
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("told to stop at step %d it took %v", n, took)
		}
		all := ctx.Err() == nil // there is no such step
		cancel()
		if all {
			if it.Err != nil || n < 9 {
				t.Errorf("%d steps, %v", n, it.Err)
			}
			d.conn.conn = conn
			conn.Close() // the server says no farewell any more
			return
		}
		filed := it.Err == nil
		if filed != (taken.Load() == 2) || filed != (d.conn != nil) {
			t.Errorf("told to stop at step %d: %v; the server has taken %d", n, it.Err, taken.Load())
		}
		if d.conn != nil {
			conn.Close()
		}
	}
}

// A server that works on a message while restante is told to stop has it once:
// its reply is waited for, and not for as long as otherwise.
func TestLMTPStopsBehindTheMessage(t *testing.T) {
	for _, c := range []struct {
		reply         string
		after, within time.Duration
		filed         bool
	}{
		{"250 taken", 20 * time.Second, 21 * time.Second, true},
		{"452 disk full", 20 * time.Second, 21 * time.Second, false},
		{"250 taken", time.Hour, 40 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ours, theirs := net.Pipe()
			var wait sync.WaitGroup
			defer wait.Wait()
			wait.Go(func() {
				defer theirs.Close()
				in := bufio.NewScanner(theirs)
				for in.Scan() {
					answer := "250 ok"
					switch in.Text() {
					case "DATA":
						answer = "354 go on"
					case "Subject: 1", "":
						continue
					case ".":
						cancel()
						time.Sleep(c.after)
						answer = c.reply
					}
					_, _ = io.WriteString(theirs, answer+"\r\n") // who does not listen any more hangs up
				}
			})
			d := &lmtp{opt: Options{Recipient: "u@example.org"}, conn: &lmtpConn{conn: ours, r: wire.NewReader(ours, 4096),
				w: wire.NewWriter(ours, wire.NewPool(4096)), timeout: 5 * time.Minute}}
			it := item(t, d, "1", "Subject: 1\r\n\r\n")
			d.Prepare(ctx, []*collect.Item{it})
			begun := time.Now()
			d.File(ctx, []*collect.Item{it})
			var refusal *lmtpReply
			if took := time.Since(begun); (it.Err == nil) != c.filed || took > c.within || ctx.Err() == nil ||
				errors.As(it.Err, &refusal) != (c.reply[0] == '4') {
				t.Errorf("%q after %v: %v after %v", c.reply, c.after, it.Err, took)
			}
			_ = d.Close() // the slow one has hung up
		})
	}
}

// A server that does not say farewell keeps nobody.
func TestLMTPCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go io.Copy(io.Discard, theirs)
		d := &lmtp{conn: &lmtpConn{conn: ours, r: wire.NewReader(ours, 4096), w: wire.NewWriter(ours, wire.NewPool(4096)), timeout: time.Hour}}
		begun := time.Now()
		if err := d.Close(); err == nil || time.Since(begun) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
