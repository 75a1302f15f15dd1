// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bytes"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"restante.example/pop3server"
)

// state is where a conversation stands when the fuzzer takes over.
var states = []struct {
	name  string
	enter func(*client)
}{
	{"AUTHORIZATION", func(c *client) { c.want("+OK") }},
	{"mid-PASS", func(c *client) { c.want("+OK"); c.ask("USER ana", "+OK") }},
	{"mid-AUTH PLAIN", func(c *client) { c.want("+OK"); c.ask("AUTH PLAIN", "+ ") }},
	{"mid-AUTH LOGIN", func(c *client) { c.want("+OK"); c.ask("AUTH LOGIN YW5h", "+ ") }},
	{"mid-AUTH SCRAM", func(c *client) {
		c.want("+OK")
		c.ask("AUTH SCRAM-SHA-256 biwsbj1hbmEscj1yT3ByTkdmd0ViZVJXZ2JORWtxTw==", "+ ")
	}},
	{"mid-AUTH OAUTHBEARER", func(c *client) { c.want("+OK"); c.ask("AUTH OAUTHBEARER", "+ ") }},
	{"token refused", func(c *client) {
		c.want("+OK")
		c.ask("AUTH XOAUTH2 "+bearer("XOAUTH2", "ana", "bad"), "+ ")
	}},
	{"TRANSACTION", func(c *client) { c.signIn() }},
	{"with marks", func(c *client) { c.signIn(); c.ask("DELE 2", "+OK"); c.ask("RETR 1", "+OK"); c.text() }},
	{"after UTF8", func(c *client) { c.want("+OK"); c.ask("UTF8", "+OK") }},
	{"in Spanish", func(c *client) { c.signIn(); c.ask("LANG es", "+OK es ") }},
	{"after STLS", func(c *client) { c.want("+OK"); c.ask("STLS", "+OK"); c.startTLS(clientTLS()) }},
}

// firstLine is what a reply may begin with, within its limit.
var firstLine = regexp.MustCompile(`^(\+OK .{0,506}|-ERR .{1,505}|\+ .*)\r\n$`)

// noCommand is how the server refuses what the fuzzer ends with.
var noCommand = map[string]bool{
	"-ERR there is no such command\r\n": true, "-ERR esa orden no existe\r\n": true,
}

// FuzzServer sends anything in every state. Whatever comes, the server must
// answer in POP3 or end the connection, leave nothing behind, and remove
// messages only by QUIT.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"", "\r\n", "\n", "QUIT\r\n", "CAPA\r\nSTAT\r\nLIST\r\nUIDL\r\n", "USER ana\r\nPASS secret\r\nDELE 1\r\n",
		"AUTH\r\nAUTH PLAIN =\r\nAUTH PLAIN AGFuYQBzZWNyZXQ=\r\nRETR 1\r\n", "*\r\n", "biws\r\nc2VjcmV0\r\n",
		"DELE 1\r\nDELE 2\r\nRSET\r\nDELE 3\r\nQUIT\r\n", "TOP 1 0\r\nTOP 1 99999999999\r\nTOP 3 1\r\n", "STLS\r\nx",
		"UTF8\r\nLANG es\r\nUSER jos\u0301\r\nPASS \xc3\x28\r\nAUTH\r\n", "LANG\r\nLANG *\r\nLANG es-419\r\nLANG \xff\r\nLIST\r\nQUIT\r\n",
		"RETR 0\r\nRETR -1\r\nLIST 4294967297\r\nUIDL \r\n", "\x00\r\nPASS \x00\r\n", "USER \xff\xfe\r\nPASS  a b \r\n",
		"AUTH XOAUTH2\r\n" + bearer("XOAUTH2", "ana", "good") + "\r\n", bearer("OAUTHBEARER", "", "bad") + "\r\nAQ==\r\n",
		"APOP ana 0123456789abcdef0123456789abcdef\r\nAPOP ana\r\nAUTH EXTERNAL =\r\n", strings.Repeat("NOOP\r\n", 50), strings.Repeat("x", 300) + "\r\nQUIT\r\n", strings.Repeat("AUTH PLAIN ", 3000) + "\r\n",
	} {
		for i := range states {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, state uint8, input []byte) {
		o := office(t, "a\n\n.1\n", "b\n\n2\n", "c\n\n"+strings.Repeat("3\n", 50_000))
		opt := withTokens(o)
		for _, name := range pop3server.Mechanisms() {
			opt.Mechanisms[name] = pop3server.PolicyOn
		}
		ends := make(chan pop3server.Summary, 1)
		opt.OnEnd = func(s pop3server.Summary) { ends <- s }
		s := serve(t, opt)
		mine, theirs := net.Pipe()
		go s.ServeConn(t.Context(), theirs, false)
		c := newClient(t, mine)
		// Whatever hangs is a fault, and shows here.
		if err := mine.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		states[int(state)%len(states)].enter(c)
		c.raw(string(input))
		c.raw("\r\n*\r\nXEND\r\n") // the end of whatever line and exchange is open
		var last string
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Fatalf("no end after %q", last)
				}
				break
			}
			if strings.Contains(line, "XEND") {
				t.Fatalf("the server sent back %q", line)
			}
			if last = line; noCommand[line] && c.r.Buffered() == 0 {
				break
			}
			if strings.HasPrefix(line, "-ERR") && (!firstLine.MatchString(line) || len(line) > 512) {
				t.Fatalf("no reply line: %q", line)
			}
		}
		c.close()
		s.Close()
		sum := <-ends
		if sum.End == pop3server.EndServerError {
			t.Fatal("internal error")
		}
		if kept := len(o.Messages("ana")); kept != 3-sum.Deleted || kept < 3 && !bytes.Contains(bytes.ToUpper(input), []byte("QUIT")) {
			t.Fatalf("%d messages are left, and the summary says that %d were deleted", kept, sum.Deleted)
		}
	})
}
