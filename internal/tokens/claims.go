// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
)

// claims are what a token, or the provider, says of itself: a JSON object. RFC
// 7519 section 4, RFC 7662 section 2.2.
type claims map[string]json.RawMessage

// text returns a claim that is a text.
func (c claims) text(name string) (string, bool) {
	var s string
	raw, ok := c[name]
	if !ok || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// list returns a claim that is a text or an array of texts.
func (c claims) list(name string) []string {
	if s, ok := c.text(name); ok {
		return []string{s}
	}
	var l []string
	if json.Unmarshal(c[name], &l) != nil {
		return nil
	}
	return l
}

// scopes returns what a token may be used for: texts with blanks between
// (RFC 8693 section 4.2), in "scp" with some providers, or an array.
func (c claims) scopes() []string {
	var l []string
	for _, name := range []string{"scope", "scp"} {
		for _, s := range c.list(name) {
			l = append(l, strings.Fields(s)...)
		}
	}
	return l
}

// moment returns a claim that is a time: seconds since 1970, and perhaps a part
// of one. ok is false where it is none; there is false where it is missing.
func (c claims) moment(name string) (at time.Time, there, ok bool) {
	raw, there := c[name]
	if !there || string(raw) == "null" {
		return at, false, true
	}
	var seconds float64
	// Beyond the year 9999 it is no time.
	if json.Unmarshal(raw, &seconds) != nil || !(seconds > 0 && seconds < 253402300800) {
		return at, true, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true, true
}

// allow looks at everything that a token says, once it is certain that the
// provider has said it, and returns whose it is and when it ends; the zero time
// where it does not say. A whole token says who made it, and that it ends; the
// answer to a question need not.
func (o *Options) allow(c claims, now time.Time, whole bool) (user string, end time.Time, err error) {
	issuer, _ := c.text("iss")
	_, there := c["iss"]
	if whole && issuer != o.Issuer || there && o.Issuer != "" && issuer != o.Issuer {
		return "", end, o.refusal("the token is by the issuer %s, and not by the one that is set", shown(issuer))
	}
	if end, err = o.inTime(c, now, whole); err != nil {
		return "", end, err
	}
	if _, bound := c["cnf"]; bound {
		// RFC 7800 section 3.1; RFC 8705 section 3; RFC 9449 section 6.
		return "", end, o.refusal("the token is bound to a key of its client, which POP3 cannot show; have the provider issue bearer tokens")
	}
	if audience := c.list("aud"); len(o.Audience) > 0 && !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(o.Audience, a) }) {
		return "", end, o.refusal("the token is for the audience %s, and not for this server", shown(strings.Join(audience, " ")))
	}
	held := c.scopes()
	for _, scope := range o.Scopes {
		if !slices.Contains(held, scope) {
			e := o.refusal("the token has not the scope %q", scope)
			e.Status, e.Scope = "insufficient_scope", strings.Join(o.Scopes, " ")
			return "", end, e
		}
	}
	user, err = o.user(c)
	return user, end, err
}

// inTime looks at when a token begins and ends. RFC 7519 sections 4.1.4 to 4.1.6.
func (o *Options) inTime(c claims, now time.Time, whole bool) (end time.Time, err error) {
	for _, name := range []string{"exp", "nbf", "iat"} {
		at, there, ok := c.moment(name)
		switch {
		case !ok:
			return end, o.refusal("the claim %s of the token is no time", name)
		case name == "exp" && there:
			if end = at; !now.Before(end.Add(o.ClockSkew)) {
				return end, o.refusal("the token has expired, at %s", end.UTC().Format(time.RFC3339))
			}
		case name == "exp" && whole:
			return end, o.refusal("the token never expires: the claim exp is missing")
		case there && at.After(now.Add(o.ClockSkew)):
			return end, o.refusal("the token begins in the future (%s): one of the clocks is wrong", name)
		}
	}
	return end, nil
}

// user returns the name of the user in a token.
func (o *Options) user(c claims) (string, error) {
	name, ok := c.text(o.Claim)
	if !ok || name == "" {
		return "", o.refusal("the token has no claim %q with a name in it", o.Claim)
	}
	// OpenID Connect Core section 5.1: without it, anybody may have entered the
	// address. Some providers write the value as a text.
	if o.Claim == "email" && string(c["email_verified"]) != "true" && string(c["email_verified"]) != `"true"` {
		return "", o.refusal("the provider has not verified the address %s (email_verified)", shown(name))
	}
	return name, nil
}
