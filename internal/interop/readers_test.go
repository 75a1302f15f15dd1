// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"restante.example/internal/peers"
)

// snailEnds are what s-nail takes for the end of a line.
var snailEnds = regexp.MustCompile(`\r*\n`)

// TestSNail: the mailbox opened, everything in it copied into a Maildir, or moved
// there, which deletes.
func TestSNail(t *testing.T) {
	snail := peers.Need(t, "s-nail")
	program{
		// Even in a Maildir it stores what would do in an mbox.
		stored: func(_ account, message string) string {
			message = snailEnds.ReplaceAllString(message, "\n")
			message = strings.ReplaceAll(message, "\nFrom ", "\n>From ")
			if !strings.HasSuffix(message, "\n\n") {
				message += "\n"
			}
			return message
		},
		letters: append(corpus(), nulLetter(), returnsLetter(), longLetter()),
		collect: func(t *testing.T, r run) []string {
			runSNail(t, snail, r).must(t, 0)
			return readMaildir(t, filepath.Join(r.out, "box"))
		},
	}.collects(t)
}

// runSNail runs s-nail once.
func runSNail(t *testing.T, snail string, r run) result {
	t.Helper()
	netrc := filepath.Join(r.home, "netrc") // as root it looks for it at the home that root has
	writeFile(t, netrc, fmt.Sprintf("machine localhost login %s password %q\n", r.user, r.password))
	url := fmt.Sprintf("%s://%s@localhost:%s", onOff(r.tls == "implicit", "pop3s", "pop3"), strings.ReplaceAll(r.user, "@", "%40"), r.port)
	commands := fmt.Sprintf("%s * maildir://%s\nquit\n", onOff(r.remove, "move", "copy"), filepath.Join(r.out, "box"))
	args := []string{"-:/", "-#", "-Sv15-compat=yes", "-Snetrc-lookup", "-SNETRC=" + netrc,
		"-Stls-verify=strict",
		"-Stls-ca-no-defaults", "-Stls-ca-file=" + r.ca}
	if r.tls == "stls" {
		args = append(args, "-Spop3-use-starttls")
	}
	switch r.mechanism {
	case "":
	case "USER":
		args = append(args, "-Spop3-no-apop")
	case "APOP": // it takes that by itself
	case "XOAUTH2": // that is what it does for POP3 when told oauthbearer
		writeFile(t, netrc, "") // a token is too long for that file
		args = append(args, "-Spop3-auth=oauthbearer", "-Spassword="+r.password)
	case "EXTERNAL": // where it names nobody; the other way it sends the name in a form of its own
		args = append(args, "-Spop3-auth=externanon", "-Stls-config-pairs=Certificate="+r.certificate+",PrivateKey="+r.key)
	default:
		t.Fatalf("s-nail has no %s", r.mechanism)
	}
	return execute(t, r.home, commands, snail, append(args, "-f", url)...)
}
