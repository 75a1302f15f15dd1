// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"restante.example/collect"
	"restante.example/internal/destinations"
	"restante.example/pop3client"
)

// Need says what an account must have.
type Need int

// What accounts are used for.
const (
	ToCollect Need = iota // destinations as well
	ToLook
)

// check looks at every setting and calls problem with its key.
func (a *Account) check(need Need, problem func(key, format string, args ...any)) {
	if a.Server == "" {
		problem("server", "no server is named; write HOST or HOST:PORT")
	} else if _, _, err := splitServer(a.Server); err != nil {
		problem("server", "%v", err)
	}
	if a.User == "" {
		problem("user", "no user name is given")
	} else if strings.ContainsAny(a.User, "\r\n\x00") {
		problem("user", "a user name has no line ends in it")
	}
	oneOf := func(key, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			problem(key, "%q is unknown; it can be %s", value, strings.Join(allowed, ", "))
		}
	}
	oneOf("tls", a.TLS, "implicit", "stls", "none")
	oneOf("too_large", a.TooLarge, "skip", "headers")
	oneOf("min_tls", a.MinTLS, "1.2", "1.3")
	oneOf("mechanism", strings.ToUpper(a.Mechanism), "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN",
		"LOGIN", pop3client.User, pop3client.APOP, "XOAUTH2", "OAUTHBEARER")
	if a.TLS == "none" && a.Server != "" && !a.loopback() && !a.InsecurePassword {
		problem("tls", "without TLS everybody on the way can read the password and the mail of %s; use implicit or stls, "+
			"or accept that with insecure_password (--insecure-password)", a.Server)
	}
	var sources []string
	for name, set := range map[string]bool{
		"password": a.Password != "", "password_command": a.PasswordCommand != "", "password_file": a.PasswordFile != "",
		"password_env": a.PasswordEnv != "", "keyring": a.Keyring, "netrc": a.Netrc != "", "token_command": a.TokenCommand != "",
	} {
		if set {
			sources = append(sources, name)
		}
	}
	if slices.Sort(sources); len(sources) > 1 {
		problem(sources[1], "only one of %s can say where the password comes from", strings.Join(sources, " and "))
	}
	a.checkKeep(problem)
	if len(a.To) == 0 && need == ToCollect {
		problem("to", "no destination is named; write one as %s", destinations.Forms)
	}
	for _, to := range a.To {
		if err := destinations.Check(to); err != nil {
			problem("to", "%v", err)
		}
	}
	if (a.ClientCert == "") != (a.ClientKey == "") {
		problem("client_cert", "client_cert and client_key belong together")
	}
	if a.CA != "" {
		if _, err := readRoots(a.CA); err != nil {
			problem("ca", "%v", err)
		}
	}
	for key, file := range map[string]string{"client_cert": a.ClientCert, "client_key": a.ClientKey} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			problem(key, "%v", err)
		}
	}
	for _, pin := range a.Pin {
		if !isFingerprint(pin) {
			problem("pin", "%q is no SHA-256 fingerprint: those have 64 hexadecimal digits", pin)
		}
	}
}

func (a *Account) checkKeep(problem func(key, format string, args ...any)) {
	if a.Delete && (a.Keep != 0 || a.KeepMessages != 0 || a.KeepOctets != 0) {
		problem("delete", "delete and keep contradict each other: choose one")
	}
	if a.KeepMessages < 0 {
		problem("keep_messages", "%d is negative", a.KeepMessages)
	}
	if strings.HasPrefix(a.User, "recent:") && a.Policy() != (collect.Keep{}) {
		// Gmail shows the same mail to every client then, ours and others.
		problem("delete", "the user name begins with recent:, which is for several devices; mail must stay on the server then")
	}
}

func isFingerprint(s string) bool {
	digits := 0
	for _, c := range strings.ToLower(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			digits++
		case c != ':' && c != ' ':
			return false
		}
	}
	return digits == 64
}

// checkPrivate reports a file with a secret in it that others can read.
func checkPrivate(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !private(info) {
		return fmt.Errorf("%s holds a password and others can read it (mode %04o); make it yours alone: chmod 600 %s",
			name, info.Mode().Perm(), name)
	}
	return nil
}
