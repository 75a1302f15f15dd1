// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Limits on what a peer may send, in octets. They are generous against every
// real name, password and token, and small against memory.
const (
	maxField   = 1024      // a name, identity or password
	maxMessage = 18 * 1024 // a whole message: a token of 16 KiB, names and a host
)

// plainField reports whether s may be one of the fields of a PLAIN message:
// UTF-8 without NUL. RFC 4616 section 2.
func plainField(s string) bool {
	return len(s) <= maxField && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// clientState counts the turns of the mechanisms in which the client only talks.
type clientState struct {
	turn int
	done bool
}

// Done reports whether all was sent.
func (s *clientState) Done() bool { return s.done }

type plainClient struct {
	clientState
	identity, user, password string
}

// PlainClient signs in by PLAIN, RFC 4616, as user; identity is whom to act
// for, usually empty. The password travels as it is: only under TLS.
func PlainClient(identity, user, password string) Client {
	return &plainClient{identity: identity, user: user, password: password}
}

func (c *plainClient) Start() (string, []byte, error) {
	if c.user == "" || c.password == "" || !plainField(c.identity) || !plainField(c.user) || !plainField(c.password) {
		return "", nil, ErrMalformed
	}
	c.done = true
	return "PLAIN", []byte(c.identity + "\x00" + c.user + "\x00" + c.password), nil
}

func (c *plainClient) Next([]byte) ([]byte, error) { return nil, ErrUnexpected }

// check is what the callbacks of PlainServer and LoginServer are.
type check = func(identity, user, password string) error

type plainServer struct {
	check check
	turn  int
}

// PlainServer serves PLAIN, RFC 4616. The callback gets what the client sent,
// which is UTF-8 and otherwise not prepared; its error ends the exchange. The
// identity is empty where the client asked for none.
func PlainServer(check func(identity, user, password string) error) Server {
	return &plainServer{check: check}
}

func (s *plainServer) Next(response []byte) ([]byte, bool, error) {
	s.turn++
	if response == nil && s.turn == 1 {
		return []byte{}, false, nil
	}
	if s.check == nil {
		return nil, false, ErrUnexpected
	}
	check := s.check
	s.check = nil
	if len(response) > maxMessage || bytes.Count(response, []byte{0}) != 2 {
		return nil, false, ErrMalformed
	}
	fields := strings.Split(string(response), "\x00")
	for _, f := range fields {
		if !plainField(f) {
			return nil, false, ErrMalformed
		}
	}
	// RFC 4616 section 2: name and password have at least one character.
	if fields[1] == "" || fields[2] == "" {
		return nil, false, ErrMalformed
	}
	if err := check(fields[0], fields[1], fields[2]); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}
