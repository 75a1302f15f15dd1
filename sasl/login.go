// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

type loginClient struct {
	clientState
	user, password string
}

// LoginClient signs in by LOGIN (draft-murchison-sasl-login), which some
// servers have in place of PLAIN. The password travels as it is: only under
// TLS. It answers the first challenge with the name and the second with the
// password, whatever they say, since their wording differs between servers.
func LoginClient(user, password string) Client {
	return &loginClient{user: user, password: password}
}

func (c *loginClient) Start() (string, []byte, error) {
	if c.user == "" || c.password == "" || !plainField(c.user) || !plainField(c.password) {
		return "", nil, ErrMalformed
	}
	return "LOGIN", nil, nil
}

func (c *loginClient) Next([]byte) ([]byte, error) {
	c.turn++
	switch c.turn {
	case 1:
		return []byte(c.user), nil
	case 2:
		c.done = true
		return []byte(c.password), nil
	}
	return nil, ErrUnexpected
}

type loginServer struct {
	check check
	user  string
	turn  int
}

// LoginServer serves LOGIN. The callback is that of PlainServer, with an
// identity that is always empty. A name that comes as initial response, which
// some mail programs send, is taken.
func LoginServer(check func(identity, user, password string) error) Server {
	return &loginServer{check: check}
}

func (s *loginServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && s.turn == 0 {
		s.turn = 1
		return []byte("Username:"), false, nil
	}
	field := string(response)
	if s.turn < 3 && (field == "" || !plainField(field)) {
		s.turn = 3
		return nil, false, ErrMalformed
	}
	switch s.turn {
	case 0, 1:
		s.user, s.turn = field, 2
		return []byte("Password:"), false, nil
	case 2:
		s.turn = 3
		if err := s.check("", s.user, field); err != nil {
			return nil, false, err
		}
		return nil, true, nil
	}
	return nil, false, ErrUnexpected
}
