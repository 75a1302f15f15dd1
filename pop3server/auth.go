// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"restante.example/internal/wire"
	"restante.example/maildrop"
	"restante.example/pop3"
	"restante.example/sasl"
)

// exchange is one AUTH under way.
type exchange struct {
	sasl.Server
	attempt maildrop.Attempt
	// outcome, where not nil, tells the guard whether the credentials were right.
	outcome func(error)
	// result says who signed in, once the mechanism is content.
	result func() (maildrop.Principal, error)
	// refusal, where not nil, is why the client has been refused already: only its
	// answer is missing.
	refusal error
}

// authCommand signs in by SASL. RFC 5034 section 4.
func (c *conn) authCommand(cmd pop3.Command) Ending {
	words, ok := cmd.Words(nil, 2)
	if !ok {
		return c.wrongCommand("AUTH takes a mechanism and an initial response")
	}
	if len(words) == 0 {
		c.listMechanisms(c.saslOffered())
		return ""
	}
	m, known := mechanismNamed(strings.ToUpper(words[0]))
	if !known || m >= saslCount || !c.offers(m) {
		return c.wrongCommand(c.whyNot(m, known))
	}
	var response []byte // nil: the client has said nothing yet
	if len(words) == 2 {
		var err error
		if response, err = decodeInitial(words[1]); err != nil {
			return c.wrongCommand("that is not base64")
		}
	}
	return c.exchange(c.begin(m), response)
}

// whyNot says why AUTH refuses a mechanism.
func (c *conn) whyNot(m mechanism, known bool) text {
	if known && m.reveals() && c.rules.accepted[m] && !c.mayReveal() {
		return needsTLS
	}
	return "that mechanism is not offered"
}

// listMechanisms answers AUTH alone, which is older than CAPA and which
// Outlook still asks.
func (c *conn) listMechanisms(list []string) {
	c.ok("mechanisms follow")
	for _, m := range list {
		c.w.WriteString(m)
		c.w.WriteString("\r\n")
	}
	c.w.WriteString(".\r\n")
}

// decodeInitial reads an initial response, "=" for an empty one.
func decodeInitial(word string) ([]byte, error) {
	if word == "=" {
		return []byte{}, nil
	}
	return base64.StdEncoding.DecodeString(word)
}

// begin makes the server side of a mechanism.
func (c *conn) begin(m mechanism) *exchange {
	x := &exchange{attempt: c.attempt("", m)}
	switch m {
	case mechSCRAM256, mechSCRAM1:
		// Whichever PLUS is offered: a client that could have used it and believes
		// that there is none has been lied to. RFC 5802 section 6.
		plus := c.offers(mechSCRAM256Plus) || c.offers(mechSCRAM1Plus)
		x.scram(c, m, func(look sasl.SCRAMLookup) *sasl.SCRAMExchange {
			return sasl.SCRAMServer(m.scramHash(), look, plus)
		})
	case mechSCRAM256Plus, mechSCRAM1Plus:
		x.scram(c, m, func(look sasl.SCRAMLookup) *sasl.SCRAMExchange {
			return sasl.SCRAMPlusServer(m.scramHash(), look, c.bindings())
		})
	case mechExternal:
		x.external(c)
	case mechOAuthBearer, mechXOAuth2:
		x.token(c, m)
	case mechPlain:
		x.Server = sasl.PlainServer(x.password(c))
	default:
		x.Server = sasl.LoginServer(x.password(c))
	}
	return x
}

// password returns the check of the mechanisms that send one.
func (x *exchange) password(c *conn) func(identity, user, password string) error {
	return func(identity, user, password string) (err error) {
		x.named(c, user)
		var p maildrop.Principal
		x.result = func() (maildrop.Principal, error) { return p, nil }
		if !mayActAs(user, identity) {
			return errIdentity
		}
		p, err = c.check(x.attempt, password)
		return err
	}
}

// errIdentity: somebody wants to act for another. RFC 4422 section 3.4.1.
var errIdentity = errors.New("pop3server: nobody may act for another")

func mayActAs(user, identity string) bool { return identity == "" || identity == user }

func (x *exchange) named(c *conn, user string) {
	x.attempt.Name = user
	c.traceUser(user)
}

// scram makes the server of a SCRAM mechanism. The guard is asked before the
// keys are looked up and told at the end.
func (x *exchange) scram(c *conn, m mechanism, server func(sasl.SCRAMLookup) *sasl.SCRAMExchange) {
	var keys maildrop.SCRAMKeys
	s := server(func(identity, name string) (out sasl.SCRAMKeys, err error) {
		x.named(c, name)
		if !mayActAs(name, identity) {
			return out, errIdentity
		}
		err = c.ask(x.attempt, func(ctx context.Context) error {
			keys, err = c.opt.Directory.SCRAM(ctx, x.attempt, m.scramHash())
			return err
		})
		out.Salt, out.Iterations = keys.Salt, keys.Iterations
		for _, k := range keys.Keys {
			out.Keys = append(out.Keys, sasl.SCRAMKey{StoredKey: k.StoredKey, ServerKey: k.ServerKey})
		}
		return out, err
	})
	x.Server = s
	x.outcome = func(err error) { c.after(x.attempt, err) }
	x.result = func() (maildrop.Principal, error) {
		k := keys.Keys[s.Matched()]
		if k.Disabled {
			return maildrop.Principal{}, maildrop.ErrDisabled
		}
		return k.Principal, nil
	}
}

// exchange carries an exchange through and signs in.
func (c *conn) exchange(x *exchange, response []byte) Ending {
	for {
		challenge, done, err := x.Next(response)
		if err != nil {
			return c.exchangeFailed(x, err)
		}
		if done && len(challenge) == 0 {
			break
		}
		var answer text
		var end Ending
		response, answer, end = c.challenge(challenge)
		switch {
		case x.refusal != nil:
			// Whatever the client answers, it is refused, and the connection in step.
			return cmp.Or(end, c.refuseSignIn(x.attempt, x.refusal))
		case end != "":
			return end
		case answer != "":
			return c.wrongCommand(answer)
		case done && len(response) > 0:
			return c.wrongCommand("the exchange is over")
		case done:
			// RFC 5034 section 4: a success has no data, so that it went ahead of it
			// and the client has answered with an empty line.
			return c.exchangeDone(x)
		}
	}
	return c.exchangeDone(x)
}

func (c *conn) exchangeDone(x *exchange) Ending {
	p, err := x.result()
	if x.outcome != nil {
		x.outcome(err)
	}
	return c.signedIn(x.attempt, p, err)
}

// exchangeFailed answers what a mechanism ended with.
func (c *conn) exchangeFailed(x *exchange, err error) Ending {
	switch {
	case errors.Is(err, sasl.ErrMalformed), errors.Is(err, sasl.ErrUnexpected):
		return c.wrongCommand("the response is malformed")
	case errors.Is(err, errIdentity):
		err = maildrop.ErrCredentials
	case errors.Is(err, sasl.ErrCredentials):
		err = maildrop.ErrCredentials
		if x.outcome != nil {
			x.outcome(err)
		}
	}
	return c.refuseSignIn(x.attempt, err)
}

// challenge sends a challenge and reads the response. The answer, where not
// empty, is why there is none and the exchange is over; so is the ending, and
// the connection too.
func (c *conn) challenge(challenge []byte) (response []byte, answer text, end Ending) {
	c.w.WriteString("+ ")
	c.w.WriteString(base64.StdEncoding.EncodeToString(challenge))
	c.w.WriteString("\r\n")
	if c.tracing {
		c.trace("S", "+ ****")
	}
	line, err := c.readLine(maxAuthLine)
	if errors.Is(err, wire.ErrLineTooLong) {
		return nil, "the line is too long", ""
	}
	if err != nil {
		return nil, "", c.readFailed(err)
	}
	if c.tracing {
		c.trace("C", "****")
	}
	if string(line) == "*" {
		return nil, "cancelled", "" // RFC 5034 section 4
	}
	response = make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Decode(response, line)
	if err != nil {
		return nil, "that is not base64", ""
	}
	return response[:n], "", ""
}
