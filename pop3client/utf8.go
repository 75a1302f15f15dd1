// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"restante.example/pop3"
)

// UTF8 asks the server for UTF-8 in messages and replies, before sign-in:
// without it a server may refuse messages that were sent with SMTPUTF8, with
// pop3.CodeUTF8. SignIn does it by itself where Options.UTF8 is set. RFC 6856
// section 2.1.
func (c *Client) UTF8(ctx context.Context) error {
	_, err := c.ask(ctx, pop3.Authorization, pop3.CmdUTF8)
	c.utf8 = c.utf8 || err == nil
	return err
}

// Language is a language in which a server can answer.
type Language struct {
	// Tag is its tag, such as "es" or "pt-BR". RFC 5646.
	Tag string
	// Name is what it calls itself, fit for a terminal; it may be empty.
	Name string
}

// Languages lists the languages in which the server can answer. A server that
// cannot tell is a *pop3.Error; capability LANG says whether asking makes sense.
// RFC 6856 section 3.2.
func (c *Client) Languages(ctx context.Context) ([]Language, error) {
	end, err := c.begin(ctx, c.state, pop3.CmdLang)
	if err != nil {
		return nil, err
	}
	defer end()
	if _, err := c.roundTrip(pop3.CmdLang, pop3.CmdLang, pop3.CmdLang); err != nil {
		return nil, err
	}
	var list []Language
	c.conn.startText()
	for n := 0; ; n++ {
		row, more, err := c.row(pop3.CmdLang)
		if err != nil || !more {
			return list, err
		}
		if n == maxCapa {
			return nil, c.fail(pop3.CmdLang, &LimitError{What: "list of languages", Limit: maxCapa})
		}
		c.traceReceived(string(row))
		if tag, name, _ := strings.Cut(string(row), " "); isTag(tag) {
			list = append(list, Language{Tag: tag, Name: pop3.Printable(strings.TrimSpace(name))})
		}
	}
}

// Language chooses the language of the server's texts by a range such as "es" or
// "pt-BR", or "*" for the one that its administrator prefers, and returns the tag
// of the one that it took. A *pop3.Error says that it has none such; nothing has
// changed then. Under STLS it is said after TLS has begun. RFC 6856 section 3.2.
func (c *Client) Language(ctx context.Context, languageRange string) (tag string, err error) {
	if languageRange != "*" && !isTag(languageRange) {
		return "", fmt.Errorf("%w: %q is no language", ErrArgument, languageRange)
	}
	status, err := c.ask(ctx, c.state, pop3.CmdLang, languageRange)
	if err != nil {
		return "", err
	}
	tag, _, _ = strings.Cut(status.Text, " ")
	if !isTag(tag) {
		return "", fmt.Errorf("pop3client: LANG: %w", &ProtocolError{Command: pop3.CmdLang, Line: shown(status.Text)})
	}
	return tag, nil
}

// isTag reports whether s has the form of a language tag: subtags of 1 to 8
// letters and digits. RFC 4647 section 2.1.
func isTag(s string) bool {
	for subtag := range strings.SplitSeq(s, "-") {
		if len(subtag) == 0 || len(subtag) > 8 {
			return false
		}
		for _, c := range []byte(subtag) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
				return false
			}
		}
	}
	return true
}

// takes reports ErrNotASCII for a name or password that must not be sent by USER,
// PASS or APOP. RFC 6856 section 2.2.
func (c *Client) takes(ctx context.Context, user, password string) error {
	if isASCII(user) && isASCII(password) {
		return nil
	}
	caps, err := c.Capabilities(ctx)
	if err != nil {
		return err
	}
	if !caps.Has(pop3.CapUTF8, pop3.CapUser) || !utf8.ValidString(user+password) {
		return ErrNotASCII
	}
	return nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// prepareAPOP brings name and password into the one form over which both sides
// compute the digest. RFC 6856 section 2.2, with PRECIS (RFC 8265) in the place
// of SASLprep.
func prepareAPOP(user, password string) (string, string, error) {
	var err error
	if !isASCII(user) {
		if user, err = precis.UsernameCasePreserved.String(user); err != nil {
			return "", "", fmt.Errorf("%w: a name cannot have these characters (RFC 8265)", ErrArgument)
		}
	}
	if !isASCII(password) {
		if password, err = precis.OpaqueString.String(password); err != nil {
			return "", "", fmt.Errorf("%w: a password cannot have these characters (RFC 8265)", ErrArgument)
		}
	}
	return user, password, nil
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*pop3.Error](err)
	return ok
}
