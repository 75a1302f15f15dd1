// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// greet sends the greeting, RFC 1939 section 4, with a timestamp where APOP is
// accepted. The timestamp is all that announces APOP.
func (c *conn) greet() {
	const ready text = "POP3 server ready"
	if d, ok := c.opt.Directory.(maildrop.APOPDirectory); !ok || !c.rules.accepted[mechAPOP] || !d.HasAPOP() {
		c.ok(ready)
		return
	}
	c.signIn.timestamp = newTimestamp(c.opt.Hostname)
	c.okTagged(c.say(ready), text(c.signIn.timestamp))
}

// newTimestamp makes what a digest of APOP is made with: in the form of a msg-id,
// and never the same twice, nor to be guessed. RFC 1939 section 7, APOP.
func newTimestamp(host string) string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return "<" + hex.EncodeToString(raw[:]) + "@" + host + ">"
}

// hostname returns a host name that can stand in a timestamp.
func hostname(name string) string {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return "localhost"
	}
	return name
}

// apopCommand signs in with a digest of the timestamp and a secret. RFC 1939
// section 7, APOP.
func (c *conn) apopCommand(cmd pop3.Command) Ending {
	if !c.offers(mechAPOP) {
		return c.wrongCommand("there is no such command")
	}
	words, ok := cmd.Words(nil, 2)
	if !ok || len(words) != 2 {
		return c.wrongCommand("APOP takes a name and a digest")
	}
	digest, err := hex.DecodeString(words[1])
	if err != nil || len(digest) != md5.Size {
		return c.wrongCommand("APOP takes a name and a digest")
	}
	c.traceUser(words[0])
	a := c.attempt(words[0], mechAPOP)
	var p maildrop.Principal
	err = c.ask(a, func(ctx context.Context) error {
		secrets, err := c.opt.Directory.(maildrop.APOPDirectory).APOP(ctx, a)
		if err == nil {
			p, err = matchAPOP(secrets, c.signIn.timestamp, digest)
		}
		return err
	})
	c.after(a, err)
	return c.signedIn(a, p, err)
}

// matchAPOP finds the secret that a digest was made with, in the same time
// whichever it is, and where there is none.
func matchAPOP(secrets []maildrop.APOPSecret, timestamp string, digest []byte) (maildrop.Principal, error) {
	found := -1
	for i, s := range append(secrets, maildrop.APOPSecret{}) {
		sum := md5.Sum([]byte(timestamp + string(s.Secret)))
		if equal := subtle.ConstantTimeCompare(sum[:], digest); i < len(secrets) && s.Secret != "" {
			found = subtle.ConstantTimeSelect(equal, i, found)
		}
	}
	switch {
	case found < 0:
		return maildrop.Principal{}, maildrop.ErrCredentials
	case secrets[found].Disabled:
		return maildrop.Principal{}, maildrop.ErrDisabled
	}
	return secrets[found].Principal, nil
}
