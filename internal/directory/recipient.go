// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"restante.example/maildrop"
)

// Routing says how addresses lead to names.
type Routing struct {
	// LocalDomains are the domains in which users and aliases whose names have
	// no domain are reached: with example.org, u1 is reached as u1@example.org.
	// With an empty list that is every domain that no user, alias or catch-all
	// names, which is right behind a mail server that passes on nothing else.
	LocalDomains []string
	// Detail parts u1 from what comes behind it, as in u1+lists@example.org;
	// empty means "+".
	Detail string
	// NoDetail switches that off.
	NoDetail bool
}

// routing is a Routing that was checked.
type routing struct {
	domains map[string]bool
	detail  string // empty for none
}

// SetRouting replaces the routing, as a configuration that is read again does.
// It changes nothing when a domain is none.
func (d *Directory) SetRouting(r Routing) error {
	route := &routing{domains: map[string]bool{}, detail: r.Detail}
	if r.Detail == "" {
		route.detail = "+"
	}
	if r.NoDetail {
		route.detail = ""
	}
	if strings.ContainsAny(route.detail, "@/ \x00\r\n") {
		return fmt.Errorf("%q cannot part a name from its detail; choose a character such as +", r.Detail)
	}
	var problems []error
	for _, domain := range r.LocalDomains {
		clean, err := CleanDomain(domain)
		problems = append(problems, err)
		route.domains[clean] = true
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	d.route.Store(route)
	return nil
}

// local reports whether names without a domain are reached in this one.
func (r *routing) local(s *snapshot, domain string) bool {
	if len(r.domains) > 0 {
		return r.domains[domain]
	}
	return !s.domains[domain]
}

// keys returns the names under which an address is looked up, the most exact
// first. It is empty for what cannot be a name.
func (r *routing) keys(s *snapshot, local, domain string) []string {
	var keys []string
	add := func(local string) {
		if domain != "" {
			if name, err := CleanName(local + "@" + domain); err == nil {
				keys = append(keys, name)
			}
		}
		if domain == "" || r.local(s, domain) {
			if name, err := CleanName(local); err == nil {
				keys = append(keys, name)
			}
		}
	}
	if strings.Contains(local, "@") {
		return nil // a quoted "@": no name has one
	}
	add(local)
	if r.detail != "" {
		// A name that begins with the separator has no base.
		if i := strings.Index(local, r.detail); i > 0 {
			add(local[:i])
		}
	}
	return keys
}

// maxAddress is the longest recipient that is looked at, in octets. RFC 5321
// section 4.5.3.1 has 256.
const maxAddress = 512

// errNobody is the answer of a directory without a single user: more likely
// than an office for nobody is a file that was made anew where a disk is not
// mounted, and then mail has to wait and no mail program may forget a password.
var errNobody = errors.New("directory: there are no users at all; add one, or see whether the data directory is the right one")

// Recipient resolves an address by this order: the address itself, the name
// without its domain where that is local, both without their detail, and the
// catch-all of the domain or of every domain. A disabled user still gets mail.
// Without any user it cannot tell who exists.
func (d *Directory) Recipient(ctx context.Context, address string) ([]maildrop.Recipient, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.opts.Refresh(ctx)
	s, err := d.snapshot()
	if err != nil {
		return nil, err
	}
	if len(s.users) == 0 && d.sources.Load().Helper == nil {
		return nil, errNobody
	}
	if len(address) > maxAddress {
		return nil, maildrop.ErrNoUser
	}
	local, domain, ok := splitAddress(address)
	if !ok {
		return nil, maildrop.ErrNoUser
	}
	if domain != "" {
		if domain, err = CleanDomain(domain); err != nil {
			return nil, maildrop.ErrNoUser
		}
	}
	for _, name := range d.route.Load().keys(s, local, domain) {
		if list := s.expand(name, address); len(list) > 0 {
			return list, nil
		}
	}
	for _, key := range []string{domain, "*"} {
		if target, ok := s.catchAlls[key]; ok && domain != "" {
			if list := s.expand(target, address); len(list) > 0 {
				return list, nil
			}
		}
	}
	return nil, d.noRecipient(s)
}

// expand follows a name through its aliases to maildrops, each once. A name is
// visited once, so that even a loop, which AddAlias does not let in, ends.
func (s *snapshot) expand(name, address string) []maildrop.Recipient {
	if u, ok := s.users[name]; ok {
		return []maildrop.Recipient{{Maildrop: u.ID, Address: address, Quota: u.Quota}}
	}
	if _, alias := s.aliases[name]; !alias {
		return nil
	}
	var list []maildrop.Recipient
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		if u, ok := s.users[name]; ok {
			list = append(list, maildrop.Recipient{Maildrop: u.ID, Address: address, Quota: u.Quota})
		}
		for _, t := range s.aliases[name] {
			visit(t)
		}
	}
	visit(name)
	return list
}
