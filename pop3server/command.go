// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"restante.example/pop3"
)

// maxAuthLine is how long a line of SASL may be before sign-in: a token of 16 KiB
// and what stands beside it, in base64, and the words around that.
var maxAuthLine = base64.StdEncoding.EncodedLen(18<<10) + pop3.MaxCommand

// lineLimit returns how many octets the next command line may have.
func (c *conn) lineLimit() int {
	if c.session == nil {
		return maxAuthLine // whether it is AUTH is known when it has been read
	}
	return pop3.MaxCommand
}

// command answers one command; the ending is not empty when it was the last.
func (c *conn) command(line []byte) Ending {
	cmd, err := pop3.ParseCommand(line)
	if len(line)+2 > pop3.MaxCommand && (err != nil || cmd.Word != pop3.CmdAuth) {
		return c.wrongCommand("the line is too long")
	}
	if c.tracing {
		c.traceCommand(cmd, err)
	}
	if err != nil {
		return c.wrongCommand("that is no command")
	}
	if c.session == nil {
		return c.authorization(cmd)
	}
	before := c.wrong
	end := c.transaction(cmd)
	if c.wrong == before {
		c.wrong = 0
	}
	return end
}

// bare reports whether a command has no argument, and refuses it otherwise.
func (c *conn) bare(cmd pop3.Command) (bool, Ending) {
	if _, ok := cmd.Words(nil, 0); ok {
		return true, ""
	}
	return false, c.wrongCommand("%s takes no argument", cmd.Word)
}

// capabilities answers CAPA. What is announced depends on the state only where
// the RFCs say so. RFC 2449 sections 5 and 6.
func (c *conn) capabilities() {
	c.ok("capabilities")
	line := func(words ...string) {
		for i, w := range words {
			if i > 0 {
				c.w.WriteString(" ")
			}
			c.w.WriteString(w)
		}
		c.w.WriteString("\r\n")
	}
	line(pop3.CapTop)
	line(pop3.CapUIDL)
	line(pop3.CapRespCodes)
	line(pop3.CapAuthRespCode)
	line(pop3.CapPipelining)
	line(c.utf8Capability()...)
	line(pop3.CapLang)
	switch e := c.opt.Expire; {
	case e < 0:
		line(pop3.CapExpire, "NEVER")
	case e > 0:
		line(pop3.CapExpire, strconv.Itoa(e))
	}
	if c.session == nil {
		// "USER" says that it may be less for some. RFC 2449 section 6.5.
		if d := c.opt.LoginDelay; d > 0 {
			line(pop3.CapLoginDelay, seconds(d), "USER")
		}
	} else if d := c.loginDelay(c.session.principal); d > 0 {
		line(pop3.CapLoginDelay, seconds(d))
	}
	if c.offers(mechUser) {
		line(pop3.CapUser)
	}
	if m := c.saslOffered(); len(m) > 0 {
		line(pop3.CapSASL, strings.Join(m, " "))
	}
	if c.session == nil && c.maySTLS() {
		line(pop3.CapSTLS) // AUTHORIZATION only, RFC 2595 section 4
	}
	line(pop3.CapImplementation, c.opt.Implementation)
	c.w.WriteString(".\r\n")
}

// seconds writes a delay for a CAPA line, rounded up.
func seconds(d time.Duration) string {
	return fmt.Sprint(int64((d + time.Second - 1) / time.Second))
}
