// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"errors"
	"strings"

	"restante.example/maildrop"
	"restante.example/pop3"
)

// maxText keeps a first line within 512 octets: what is not text are "-ERR ",
// a code and CRLF. RFC 2449 section 4.
const maxText = pop3.MaxStatus - 64

// maxCode is the longest response code that a backend may choose.
const maxCode = 32

// ok answers +OK and a text.
func (c *conn) ok(t text) { c.okTagged("", t) }

// okTagged answers +OK, a language tag where there is one, and a text.
func (c *conn) okTagged(tag string, t text) {
	said := c.say(t)
	if tag != "" {
		said = tag + " " + said // RFC 6856 section 3.2
	}
	c.w.WriteString("+OK ")
	c.w.WriteString(said)
	c.w.WriteString("\r\n")
	if c.tracing {
		c.trace("S", "+OK "+said)
	}
}

// refuse answers -ERR, a response code if there is one, and a text.
func (c *conn) refuse(code pop3.Code, t text, args ...any) {
	status := "-ERR "
	if code != "" {
		status += code.Error() + " "
	}
	status += c.sayf(t, args)
	c.w.WriteString(status)
	c.w.WriteString("\r\n")
	if c.tracing {
		c.trace("S", status)
	}
}

// oneLine makes a text fit to stand in a first reply line: printable and not
// too long.
func oneLine(text string) string {
	text = pop3.Printable(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// chosen returns the reply that a backend has chosen by a *pop3.Error, in the
// language of the client where Options know it.
func (c *conn) chosen(err error) (pop3.Code, text, bool) {
	e, ok := errors.AsType[*pop3.Error](err)
	if !ok {
		return "", "", false
	}
	code := e.Code
	if len(code) > maxCode {
		code = pop3.CodeSysTemp
	}
	own := e.Text
	if translated, ok := c.opt.Spanish[own]; ok && c.speech.spanish {
		own = translated
	}
	return code, text(oneLine(c.written(own))), true
}

// refuseFailure answers what the store failed with. The client learns of what
// kind it is, the log the whole.
func (c *conn) refuseFailure(err error, t text) {
	code, own, ok := c.chosen(err)
	switch {
	case ok:
		t = own
	case errors.Is(err, maildrop.ErrDamaged), errors.Is(err, maildrop.ErrGone),
		errors.Is(err, maildrop.ErrNoMaildrop), errors.Is(err, maildrop.ErrNoView):
		code = pop3.CodeSysPerm // RFC 3206 section 4
	default:
		code = pop3.CodeSysTemp
	}
	c.refuse(code, t)
}

// wrongCommand refuses a command that does not exist or is not well-formed,
// and ends the connection after too many.
func (c *conn) wrongCommand(t text, args ...any) Ending {
	c.refuse("", t, args...)
	c.wrong++
	if limit := c.opt.Limits.WrongCommands; limit >= 0 && c.wrong >= limit {
		return EndWrong
	}
	return ""
}
