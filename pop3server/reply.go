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

// ok answers +OK and a text.
func (c *conn) ok(text string) {
	c.w.WriteString("+OK ")
	c.w.WriteString(text)
	c.w.WriteString("\r\n")
	if c.tracing {
		c.trace("S", "+OK "+text)
	}
}

// refuse answers -ERR, a response code if there is one, and a text.
func (c *conn) refuse(code pop3.Code, text string) {
	status := "-ERR "
	if code != "" {
		status += code.Error() + " "
	}
	status += text
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

// chosen returns the reply that a backend has chosen by a *pop3.Error.
func chosen(err error) (pop3.Code, string, bool) {
	e, ok := errors.AsType[*pop3.Error](err)
	if !ok {
		return "", "", false
	}
	code := e.Code
	if len(code) > 32 {
		code = pop3.CodeSysTemp
	}
	return code, oneLine(e.Text), true
}

// refuseFailure answers what the store failed with. The client learns of what
// kind it is, the log the whole.
func (c *conn) refuseFailure(err error, text string) {
	code, own, ok := chosen(err)
	switch {
	case ok:
		text = own
	case errors.Is(err, maildrop.ErrDamaged), errors.Is(err, maildrop.ErrGone),
		errors.Is(err, maildrop.ErrNoMaildrop), errors.Is(err, maildrop.ErrNoView):
		code = pop3.CodeSysPerm // RFC 3206 section 4
	default:
		code = pop3.CodeSysTemp
	}
	c.refuse(code, text)
}

// wrongCommand refuses a command that does not exist or is not well-formed,
// and ends the connection after too many.
func (c *conn) wrongCommand(text string) Ending {
	c.refuse("", text)
	c.wrong++
	if limit := c.opt.Limits.WrongCommands; limit >= 0 && c.wrong >= limit {
		return EndWrong
	}
	return ""
}
