// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3client

import (
	"crypto/tls"
	"slices"

	"restante.example/pop3"
	"restante.example/sasl"
)

// Credentials is who signs in, with what, and how.
type Credentials struct {
	// User is the name to sign in with.
	User string
	// Identity is whom to act for (SASL authorization identity), usually empty.
	Identity string
	// Password is the password; or else Token is an OAuth2 access token.
	Password sasl.Secret
	Token    sasl.Secret
	// TwoLineToken sends the token of XOAUTH2 on a line of its own behind
	// `AUTH XOAUTH2`, as Microsoft's servers want it. A message too long for
	// one command goes that way by itself.
	TwoLineToken bool
	// Choose returns the mechanisms to try, the first first; nil means
	// DefaultChoice. The next one is tried only where the server did not take
	// the mechanism, never after wrong credentials. Names are those of SASL,
	// User and APOP.
	Choose func(Offer) []string
}

// Offer is what a choice of mechanisms is made from.
type Offer struct {
	// Mechanisms are the SASL mechanisms that the server announced, in upper
	// case, and Capabilities all that it announced, nil for nothing.
	Mechanisms   []string
	Capabilities pop3.Capabilities
	// TLS is the state of TLS, nil in clear text.
	TLS *tls.ConnectionState
	// Bindings are the channel bindings of the connection.
	Bindings []sasl.ChannelBinding
	// MayReveal is true where a password or token may be sent as it is: under
	// TLS, or where Options say so.
	MayReveal bool
	// Password and Token tell what the credentials have.
	Password, Token bool
	// Timestamp is true where the greeting has what APOP needs.
	Timestamp bool
}

// Has reports whether the server announced a SASL mechanism.
func (o Offer) Has(mechanism string) bool { return slices.Contains(o.Mechanisms, mechanism) }

// Names of the ways to sign in that are no SASL mechanisms.
const (
	// User is USER and PASS. RFC 1939 section 7.
	User = "USER"
	// APOP is never chosen by default: MD5 does not keep a password from those
	// who listen. RFC 1939 section 7.
	APOP = "APOP"
)

// DefaultChoice returns the mechanisms that both sides have, the strongest
// first: SCRAM with channel binding, SCRAM, then, only where the password may
// be revealed, PLAIN, LOGIN and USER. With a token it is OAUTHBEARER, then
// XOAUTH2. USER is tried even where it is not announced, and XOAUTH2 where
// nothing is announced.
func DefaultChoice(o Offer) []string {
	var list []string
	add := func(names ...string) {
		for _, name := range names {
			if o.Has(name) {
				list = append(list, name)
			}
		}
	}
	if o.Token && o.MayReveal {
		add("OAUTHBEARER", "XOAUTH2")
		if len(list) == 0 {
			list = append(list, "XOAUTH2")
		}
	}
	if !o.Password {
		return list
	}
	if len(o.Bindings) > 0 {
		add("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
	}
	add("SCRAM-SHA-256", "SCRAM-SHA-1")
	if o.MayReveal {
		add("PLAIN", "LOGIN")
		list = append(list, User)
	}
	return list
}

// offer tells what there is to choose from.
func (c *Client) offer(cred Credentials, caps pop3.Capabilities) Offer {
	o := Offer{
		Mechanisms: caps.Mechanisms(), Capabilities: caps,
		MayReveal: c.mayReveal(),
		Password:  cred.Password != "", Token: cred.Token != "",
		Timestamp: timestamp(c.greeting) != "",
	}
	if state, ok := c.TLS(); ok {
		o.TLS, o.Bindings = &state, sasl.ClientBindings(state)
	}
	return o
}

// mayReveal reports whether a password may be sent as it is.
func (c *Client) mayReveal() bool {
	_, secured := c.TLS()
	return secured || c.opt.InsecurePassword || c.opt.InsecureLocalPassword && c.peer.local
}

// hides reports whether a mechanism keeps the password from who listens.
func hides(mechanism string) bool {
	switch mechanism {
	case "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "EXTERNAL":
		return true
	}
	return false
}

// mechanism makes the SASL client of a name, or nil where none is known.
func (c *Client) mechanism(name string, cred Credentials, o Offer) sasl.Client {
	password, token := string(cred.Password), string(cred.Token)
	switch name {
	case "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS":
		if len(o.Bindings) == 0 {
			return nil
		}
		hash := name[len("SCRAM-") : len(name)-len("-PLUS")]
		return sasl.SCRAMPlusClient(hash, cred.Identity, cred.User, password, o.Bindings[0])
	case "SCRAM-SHA-256", "SCRAM-SHA-1":
		// A server that did offer PLUS then finds out who took it away.
		couldBind := len(o.Bindings) > 0 && !o.Has(name+"-PLUS")
		return sasl.SCRAMClient(name[len("SCRAM-"):], cred.Identity, cred.User, password, couldBind)
	case "PLAIN":
		return sasl.PlainClient(cred.Identity, cred.User, password)
	case "LOGIN":
		return sasl.LoginClient(cred.User, password)
	case "OAUTHBEARER":
		return sasl.OAuthBearerClient(cred.User, token, c.peer.host, c.peer.port)
	case "XOAUTH2":
		return sasl.XOAuth2Client(cred.User, token)
	case "EXTERNAL":
		return sasl.ExternalClient(cred.Identity)
	}
	return nil
}
