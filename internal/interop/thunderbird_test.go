// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
	"restante.example/internal/tokens/tokenstest"
)

// marionette is a Thunderbird that is told what to do, by Mozilla's protocol for
// that: JSON behind its length and a colon.
type marionette struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	last int
}

func dialMarionette(t *testing.T, port string) *marionette {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	m := &marionette{t: t, conn: conn, in: bufio.NewReader(conn)}
	m.receive() // who it is
	m.do("WebDriver:NewSession", `{"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": "ignore"}}}`)
	m.do("Marionette:SetContext", `{"value": "chrome"}`)
	m.do("WebDriver:SetTimeouts", fmt.Sprintf(`{"script": %d}`, patience.Milliseconds()))
	return m
}

func (m *marionette) receive() []byte {
	m.t.Helper()
	size, err := m.in.ReadString(':')
	if err != nil {
		m.t.Fatalf("Thunderbird: %v", err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
	if err != nil {
		m.t.Fatalf("Thunderbird: %v", err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(m.in, text); err != nil {
		m.t.Fatalf("Thunderbird: %v", err)
	}
	return text
}

// do has a command carried out and returns the value of its answer.
func (m *marionette) do(command, parameters string) any {
	m.t.Helper()
	value, failure := m.try(command, parameters)
	if failure != nil {
		m.t.Fatalf("Thunderbird: %s: %v", command, failure)
	}
	return value
}

// try does so too, and also returns what Thunderbird says of a failure.
func (m *marionette) try(command, parameters string) (value, failure any) {
	m.t.Helper()
	m.last++
	text := fmt.Sprintf(`[0, %d, %q, %s]`, m.last, command, parameters)
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(text), text); err != nil {
		m.t.Fatalf("Thunderbird: %v", err)
	}
	// The kind of message, its number, an error, and what was asked for.
	var result struct{ Value any }
	answer := []any{0, 0, &failure, &result}
	if err := json.Unmarshal(m.receive(), &answer); err != nil {
		m.t.Fatalf("Thunderbird: %v", err)
	}
	return result.Value, failure
}

// thunderbirdProfile is a person's, with one account and without anything that
// looks at the network by itself.
const thunderbirdProfile = `user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.identity.id1.fullName", "Ana");
user_pref("mail.identity.id1.useremail", "ana@example.org");
user_pref("mail.server.server1.type", "pop3");
user_pref("mail.server.server1.name", "ana");
user_pref("mail.server.server1.hostname", "localhost");
user_pref("mail.server.server1.port", %s);
user_pref("mail.server.server1.socketType", %s);
user_pref("mail.server.server1.authMethod", %s);
user_pref("mail.server.server1.userName", %q);
user_pref("mail.server.server1.leave_on_server", %s);
user_pref("mail.server.server1.check_new_mail", false);
user_pref("mail.server.server1.login_at_startup", false);
user_pref("mail.server.server1.storeContractID", "@mozilla.org/msgstore/maildirstore;1");
user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/localhost");
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("marionette.port", 0);
user_pref("datareporting.policy.dataSubmissionPolicyBypassNotification", true);
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
`

// runThunderbird starts Thunderbird without a screen, has it collect once, and
// ends it. The output is what it shows in a dialogue, if it does.
func runThunderbird(t *testing.T, thunderbird string, r run) result {
	t.Helper()
	profile := filepath.Join(r.home, "profile")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(profile, "user.js"), fmt.Sprintf(thunderbirdProfile, r.port,
		map[string]string{"none": "0", "stls": "2", "implicit": "3"}[r.tls],
		onOff(r.mechanism == "APOP", "4", "3"), r.user, onOff(r.remove, "false", "true")))
	ready := filepath.Join(profile, "MarionetteActivePort")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said := newLogBuffer()
	cmd := exec.CommandContext(ctx, thunderbird, "--headless", "--marionette", "--remote-allow-system-access", "--profile", profile)
	cmd.Dir = r.home
	cmd.Env = []string{"HOME=" + r.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			cancel()
			cmd.Wait()
			t.Logf("Thunderbird said:\n%s", said)
		}
	}()
	var port []byte
	waitFor(t, "Thunderbird", func() bool {
		var err error
		port, err = os.ReadFile(ready)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return len(port) > 0
	})
	m := dialMarionette(t, string(port))
	script, err := os.ReadFile("testdata/thunderbird.js")
	if err != nil {
		t.Fatal(err)
	}
	command, err := json.Marshal(map[string]any{"script": string(script), "args": []string{r.password, r.ca}})
	if err != nil {
		t.Fatal(err)
	}
	var result result
	how := "eAttemptQuit"
	// The status is that of the collection, or nothing when a dialogue opens
	// before it has one.
	if status := m.do("WebDriver:ExecuteAsyncScript", string(command)); status != "0" {
		result.code = 1
		waitFor(t, fmt.Sprintf("what Thunderbird says of %v", status), func() bool {
			text, failure := m.try("WebDriver:GetAlertText", "{}")
			result.output = fmt.Sprint(text)
			return failure == nil
		})
		// The dialogue would have it try again, or ask for another password.
		how = "eForceQuit"
	}
	m.do("Marionette:Quit", fmt.Sprintf(`{"flags": [%q]}`, how))
	ended = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("Thunderbird: %v\n%s", err, said)
	}
	return result
}

// thunderbirdLines are what Thunderbird writes in front of a message: its account,
// its UID, and room for marks.
var thunderbirdLines = regexp.MustCompile(`\AX-Account-Key: account1\nX-UIDL: [!-~]+\nX-Mozilla-Status: \d{4}\nX-Mozilla-Status2: \d{8}\nX-Mozilla-Keys: +\n`)

// thunderbirdInbox is where the messages are.
func thunderbirdInbox(home string) string {
	return filepath.Join(home, "profile", "Mail", "localhost", "Inbox", "cur")
}

// readThunderbird returns the messages that are in its inbox.
func readThunderbird(t *testing.T, home string) []string {
	t.Helper()
	var messages []string
	for _, message := range readDir(t, thunderbirdInbox(home)) {
		lines := thunderbirdLines.FindString(message)
		if lines == "" {
			t.Errorf("Thunderbird has filed %s", excerpt(message))
		}
		messages = append(messages, strings.TrimPrefix(message, lines))
	}
	return messages
}

// TestThunderbird: into its own Maildir. It is started anew for each collection.
func TestThunderbird(t *testing.T) {
	thunderbird := peers.Need(t, "thunderbird")
	program{
		stored: unix, remembers: true, transports: []string{"implicit"},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runThunderbird(t, thunderbird, r).must(t, 0)
			messages, inbox := readThunderbird(t, r.home), thunderbirdInbox(r.home)
			// What has been looked at is put aside, for the next collection.
			if err := os.Rename(inbox, filepath.Join(r.out, "cur")); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(inbox, 0o700); err != nil {
				t.Fatal(err)
			}
			return messages
		},
	}.collects(t)
}

// TestThunderbirdTakesAPOP: where it is set to "encrypted password".
func TestThunderbirdTakesAPOP(t *testing.T) {
	t.Parallel()
	once := programs["Thunderbird"](t)
	o := startOffice(t, peers.Dir(t), allMechanisms(t, tokenstest.New(t), newAuthority(t)))
	a := o.addFor(t, tokenstest.Email, "stls")
	o.deliver(t, corpus()[0].text, a.user)
	a.mechanism, a.password = "APOP", apopPassword
	r := run{account: a, home: newDir(t)}
	once(t, r).must(t, 0)
	same(t, "collected", readThunderbird(t, r.home), []string{unix(a, wire(a.user, corpus()[0].text))})
	waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, a.user)) == 1 })
	if s := o.sessions(t, a.user)[0]; s.Mechanism != "APOP" || s.TLS == "" {
		t.Errorf("the session: %+v", s)
	}
}
