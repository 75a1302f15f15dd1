// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

type externalClient struct {
	clientState
	identity string
}

// ExternalClient signs in by EXTERNAL, RFC 4422 appendix A: the server knows
// the client already, mostly by its certificate. The identity is whom to act
// for, usually empty.
func ExternalClient(identity string) Client { return &externalClient{identity: identity} }

func (c *externalClient) Start() (string, []byte, error) {
	if !plainField(c.identity) {
		return "", nil, ErrMalformed
	}
	c.done = true
	return "EXTERNAL", []byte(c.identity), nil
}

func (c *externalClient) Next([]byte) ([]byte, error) { return nil, ErrUnexpected }

type externalServer struct {
	check func(identity string) error
	turn  int
}

// ExternalServer serves EXTERNAL. The callback says whether the client, as the
// server knows it from outside, may act as identity; empty means as itself.
func ExternalServer(check func(identity string) error) Server {
	return &externalServer{check: check}
}

func (s *externalServer) Next(response []byte) ([]byte, bool, error) {
	s.turn++
	if response == nil && s.turn == 1 {
		return []byte{}, false, nil
	}
	if s.check == nil {
		return nil, false, ErrUnexpected
	}
	check := s.check
	s.check = nil
	if !plainField(string(response)) {
		return nil, false, ErrMalformed
	}
	if err := check(string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}
