// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// TestCurl: the numbers from LIST, then every message, over one connection.
func TestCurl(t *testing.T) {
	peers.Need(t, "curl")
	program{
		stored:  asIs,
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			numbers := curlAll(t, r)
			if r.remove {
				// QUIT comes at the end of a run, once for all these.
				var urls strings.Builder
				for _, n := range numbers {
					fmt.Fprintf(&urls, "next\n%shead\nrequest = \"DELE %s\"\nurl = %q\n", curlConfig(r.account), n, r.url(""))
				}
				execute(t, r.home, strings.TrimPrefix(urls.String(), "next\n"), peers.Need(t, "curl"), "-K", "-").must(t, 0)
			}
			return readDir(t, r.out)
		},
	}.collects(t)
}

// curlConfig is how curl reaches an account.
func curlConfig(a account) string {
	config := fmt.Sprintf("silent\nshow-error\nuser = %q\ncacert = %q\n", a.user+":"+a.password, a.ca)
	switch a.mechanism {
	case "":
	case "APOP":
		config += "login-options = \"AUTH=+APOP\"\n"
	case "EXTERNAL":
		// With a password it does not think of EXTERNAL.
		config = fmt.Sprintf("silent\nshow-error\nuser = %q\ncacert = %q\ncert = %q\nkey = %q\nlogin-options = \"AUTH=EXTERNAL\"\n",
			a.user+":", a.ca, a.certificate, a.key)
	case "OAUTHBEARER", "XOAUTH2":
		config = fmt.Sprintf("silent\nshow-error\nuser = %q\noauth2-bearer = %q\ncacert = %q\nlogin-options = \"AUTH=%s\"\n",
			a.user, a.password, a.ca, a.mechanism)
	default:
		config += "login-options = \"AUTH=" + a.mechanism + "\"\n"
	}
	if a.tls == "stls" {
		config += "ssl-reqd\n"
	}
	return config
}

// curlAll retrieves everything with curl, a file each, and returns the numbers.
func curlAll(t *testing.T, r run) []string {
	t.Helper()
	curl, config := peers.Need(t, "curl"), curlConfig(r.account)
	list := execute(t, r.home, config+fmt.Sprintf("url = %q\n", r.url("")), curl, "-K", "-").must(t, 0).output
	var numbers []string
	for line := range strings.Lines(list) {
		n, _, found := strings.Cut(line, " ")
		if !found {
			break // it writes an empty line for an empty list
		}
		numbers = append(numbers, n)
		config += fmt.Sprintf("url = %q\noutput = %q\n", r.url(n), filepath.Join(r.out, n))
	}
	if numbers != nil {
		execute(t, r.home, config, curl, "-K", "-").must(t, 0)
	}
	return numbers
}

// script runs one of the scripts of testdata.
func script(t *testing.T, r run, interpreter, name string) []string {
	t.Helper()
	execute(t, r.home, r.password, interpreter, scriptArgs(t, r, name)...).must(t, 0)
	return readDir(t, r.out)
}

func scriptArgs(t *testing.T, r run, name string) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, r.tls, r.port, r.user, r.ca, r.out, onOff(r.remove, "delete", "leave"), r.mechanism}
}

// TestPoplib: Python's.
func TestPoplib(t *testing.T) {
	python := peers.Need(t, "python3")
	program{
		stored:  asIs,
		letters: append(corpus(), nulLetter(), returnsLetter()),
		collect: func(t *testing.T, r run) []string { return script(t, r, python, "collect.py") },
	}.collects(t)
}

// TestPoplibLongLine: Python's gives up at a line of more than 2,048 octets. The
// session ends without QUIT, so nothing is deleted, though DELE was said.
func TestPoplibLongLine(t *testing.T) {
	t.Parallel()
	python := peers.Need(t, "python3")
	o := openOffice(t)
	a := o.add(t, "ana@example.org", "implicit")
	letters := []string{corpus()[0].text, longLetter().text}
	for _, l := range letters {
		o.deliver(t, l, a.user)
	}
	r := run{account: a, home: newDir(t), out: newDir(t), remove: true}
	result := execute(t, r.home, r.password, python, scriptArgs(t, r, "collect.py")...).must(t, 1)
	if !strings.Contains(result.output, "line too long") {
		t.Errorf("Python says %s", result.output)
	}
	waitFor(t, "the end of the session", func() bool { return len(o.sessions(t, a.user)) == 1 })
	if s := o.sessions(t, a.user)[0]; s.End == "quit" || s.Deleted != 0 || s.Left != 2 {
		t.Errorf("the session: %+v", s)
	}
	same(t, "on the server", o.held(t, a.user), []string{wire(a.user, letters[0]), wire(a.user, letters[1])})
}

// TestNetPOP3: Perl's. It gives lines with LF, but under TLS, where another
// class reads them, with CRLF.
func TestNetPOP3(t *testing.T) {
	perl := peers.Need(t, "perl")
	program{
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		stored: func(a account, message string) string {
			if a.tls == "none" {
				return unix(a, message)
			}
			return message
		},
		collect: func(t *testing.T, r run) []string { return script(t, r, perl, "collect.pl") },
	}.collects(t)
}

// TestMutt: the mailbox opened on a terminal, everything in it copied into a
// Maildir, or saved there, which deletes.
func TestMutt(t *testing.T) {
	mutt := peers.Need(t, "mutt")
	pty := peers.Need(t, "script")
	program{
		stored: func(a account, message string) string {
			// It adds two lines that describe the body.
			head, body, found := strings.Cut(unix(a, message), "\n\n")
			if !found {
				head = strings.TrimSuffix(head, "\n")
			}
			return fmt.Sprintf("%s\nContent-Length: %d\nLines: %d\n\n%s", head, len(body), strings.Count(body, "\n"), body)
		},
		collect: func(t *testing.T, r run) []string {
			runMutt(t, mutt, pty, r).must(t, 0)
			return readMaildir(t, filepath.Join(r.out, "box"))
		},
	}.collects(t)
}

// runMutt runs mutt once, which copies everything into a Maildir, or saves it
// there, which deletes.
func runMutt(t *testing.T, mutt, pty string, r run) result {
	t.Helper()
	rc := filepath.Join(r.home, "muttrc")
	writeFile(t, filepath.Join(r.home, "password"), r.password+"\n") // where it is a token
	writeFile(t, rc, fmt.Sprintf(`set pop_user="%s" pop_pass="%s" pop_authenticators="%s" pop_oauth_refresh_command="cat %s/password" pop_checkinterval=3600
set ssl_force_tls=%s ssl_starttls=%s ssl_verify_host=yes certificate_file="%s"
set mbox_type=Maildir confirmappend=no confirmcreate=no delete=yes quit=yes wait_key=no move=no resolve=no sleep_time=0
set folder="%s" record="" header_cache="" message_cachedir=""
`, r.user, r.password, strings.ToLower(r.mechanism), r.home, onOff(r.tls == "none", "no", "yes"), onOff(r.tls == "stls", "yes", "no"),
		onOff(r.tls == "none", "", r.ca), r.home))
	push := fmt.Sprintf(`push "<tag-pattern>~A<enter><tag-prefix>%s%s<enter><quit>"`,
		onOff(r.remove, "<save-message>", "<copy-message>"), filepath.Join(r.out, "box"))
	url := fmt.Sprintf("%s://localhost:%s/", onOff(r.tls == "implicit", "pops", "pop"), r.port)
	return execute(t, r.home, "", pty, "-qec", fmt.Sprintf("%s -n -F %s -e '%s' -f %s", mutt, rc, push, url), "/dev/null")
}
