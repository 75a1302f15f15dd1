// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"restante.example/pop3server"
)

// TestTranscripts plays the conversations of testdata/transcripts. The README
// there says how they are written.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("../testdata/transcripts/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("found %d transcripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, strings.Split(string(data), "\n"))
		})
	}
}

// play sets a server up as the lines say and goes through the conversation.
func play(t *testing.T, lines []string) {
	o := office(t)
	opt := options(o)
	opt.TLSConfig = serverTLS()
	from := ""
	var c *client
	for i, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("line %d: %s: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		if c == nil && (word == "S:" || word == "C:") {
			c = dial(t, serve(t, opt), from)
		}
		switch word {
		case "", "#":
		case "user":
			name, password, _ := strings.Cut(rest, " ")
			o.AddUser(name, password)
		case "token":
			name, token, _ := strings.Cut(rest, " ")
			if opt.Tokens == nil {
				opt.Tokens = tokens{}
			}
			opt.Tokens.(tokens)[token] = name
		case "mail":
			name, quoted, _ := strings.Cut(rest, " ")
			text, err := strconv.Unquote(quoted)
			if err != nil {
				fail("%v", err)
			}
			put(t, o, name, text)
		case "utf8-mail":
			name, quoted, _ := strings.Cut(rest, " ")
			text, err := strconv.Unquote(quoted)
			if err != nil {
				fail("%v", err)
			}
			putUTF8(t, o, name, text)
		case "from":
			from = rest
		case "set":
			if err := set(opt, rest); err != nil {
				fail("%v", err)
			}
		case "C:":
			c.send(rest)
		case "C=":
			text, err := strconv.Unquote(rest)
			if err != nil {
				fail("%v", err)
			}
			c.raw(text)
		case "S:":
			if got := c.line(); got != rest {
				fail("got %q", got)
			}
		case "S~":
			if got := c.line(); !regexp.MustCompile("^(?:" + rest + ")$").MatchString(got) {
				fail("got %q", got)
			}
		case "TLS":
			c.startTLS(clientTLS())
		case "END":
			c.ended()
		case "holds":
			name, n, _ := strings.Cut(rest, " ")
			if got := strconv.Itoa(len(o.Messages(name))); got != n {
				fail("%s holds %s messages", name, got)
			}
		default:
			fail("what is %q?", word)
		}
	}
	if c == nil {
		t.Fatal("nothing was said")
	}
}

func set(opt *pop3server.Options, what string) error {
	key, value, _ := strings.Cut(what, " ")
	var err error
	switch key {
	case "cleartext":
		opt.ClearText = map[string]pop3server.ClearText{
			"never": pop3server.ClearTextNever, "everywhere": pop3server.InsecureClearTextEverywhere,
		}[value]
	case "mechanisms":
		opt.Mechanisms = map[string]pop3server.Policy{}
		for _, word := range strings.Fields(value) {
			name, policy, _ := strings.Cut(word, "=")
			opt.Mechanisms[name] = map[string]pop3server.Policy{
				"off": pop3server.PolicyOff, "on": pop3server.PolicyOn, "required": pop3server.PolicyRequired,
			}[policy]
		}
	case "expire":
		opt.Expire, err = strconv.Atoi(value)
	case "login-delay":
		opt.LoginDelay, err = time.ParseDuration(value)
	case "language":
		opt.Language = value
	case "implementation":
		opt.Implementation = value
	case "no-tls":
		opt.TLSConfig = nil
	default:
		err = fmt.Errorf("there is no setting %q", key)
	}
	return err
}
