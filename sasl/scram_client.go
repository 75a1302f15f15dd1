// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// SCRAMDialog is the client of SCRAM. RFC 5802.
type SCRAMDialog struct {
	mechanism, hash          string
	identity, user, password string
	gs2                      string // header, known from Start on
	flag                     string // binding flag: n, y or p=type
	binding                  []byte
	nonce                    string
	bare                     string // client-first-message-bare
	serverSignature          []byte
	turn                     int
	done                     bool
}

// SCRAMClient signs in by SCRAM with the hash "SHA-256" or "SHA-1", without
// channel binding. The password does not travel, and the server has to prove
// that it knows it. Identity is whom to act for, usually empty. couldBind is
// true when the connection has a channel binding and the server did not offer
// a PLUS mechanism: a server that did offer it then knows that somebody
// removed it from the list.
func SCRAMClient(hash, identity, user, password string, couldBind bool) *SCRAMDialog {
	flag := "n"
	if couldBind {
		flag = "y"
	}
	return &SCRAMDialog{
		mechanism: "SCRAM-" + hash, hash: hash, flag: flag,
		identity: identity, user: user, password: password, nonce: newNonce(),
	}
}

// SCRAMPlusClient signs in by SCRAM-...-PLUS: like SCRAMClient, and both sides
// prove that they see the same TLS connection.
func SCRAMPlusClient(hash, identity, user, password string, binding ChannelBinding) *SCRAMDialog {
	return &SCRAMDialog{
		mechanism: "SCRAM-" + hash + "-PLUS", hash: hash,
		flag: "p=" + binding.Type, binding: binding.Data,
		identity: identity, user: user, password: password, nonce: newNonce(),
	}
}

// Start returns the client-first-message.
func (c *SCRAMDialog) Start() (string, []byte, error) {
	if _, err := hashNamed(c.hash); err != nil {
		return "", nil, err
	}
	// RFC 5802 section 5.1: names are prepared, and escaped after that.
	user, err := Prep(c.user)
	if err != nil {
		return "", nil, err
	}
	identity, err := Prep(c.identity)
	if err != nil {
		return "", nil, err
	}
	if user == "" || len(user) > maxField || len(identity) > maxField {
		return "", nil, fmt.Errorf("%w: the name is empty or too long", ErrMalformed)
	}
	c.gs2 = c.flag + ","
	if identity != "" {
		c.gs2 += "a=" + escapeName(identity)
	}
	c.gs2 += ","
	c.bare = "n=" + escapeName(user) + ",r=" + c.nonce
	return c.mechanism, []byte(c.gs2 + c.bare), nil
}

// Next answers the server-first-message with the proof, which takes the time
// of the server's iterations, and checks the server-final-message. It fails
// with ErrServer when the server's signature is wrong, and with
// ErrCredentials or ErrChannelBinding when the server says so.
func (c *SCRAMDialog) Next(challenge []byte) ([]byte, error) {
	c.turn++
	if len(challenge) > maxSCRAM {
		return nil, ErrMalformed
	}
	switch c.turn {
	case 1:
		return c.prove(string(challenge))
	case 2:
		return c.verify(string(challenge))
	}
	return nil, ErrUnexpected
}

// Done reports whether the server has proved that it knows the password.
func (c *SCRAMDialog) Done() bool { return c.done }

func (c *SCRAMDialog) prove(first string) ([]byte, error) {
	nonce, rest, ok := attribute(first, 'r')
	if !ok {
		if strings.HasPrefix(first, "e=") {
			return nil, serverError(first[2:])
		}
		return nil, ErrMalformed
	}
	// The server adds to our nonce; an unchanged or foreign one is a replay.
	if !validNonce(nonce) || !strings.HasPrefix(nonce, c.nonce) || len(nonce) == len(c.nonce) {
		return nil, fmt.Errorf("%w: the server's nonce does not extend ours", ErrMalformed)
	}
	salt64, rest, ok := attribute(rest, 's')
	salt, saltOK := decode(salt64, maxSalt)
	count, rest, countOK := attribute(rest, 'i')
	if !ok || !saltOK || !countOK || !extensions(rest) {
		return nil, ErrMalformed
	}
	iterations, err := strconv.ParseUint(count, 10, 31)
	if err != nil {
		return nil, ErrMalformed
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return nil, fmt.Errorf("sasl: the server asks for %d iterations; %d to %d are accepted",
			iterations, MinIterations, MaxIterations)
	}
	newHash, err := hashNamed(c.hash)
	if err != nil {
		return nil, err
	}
	salted, err := saltedPassword(newHash, c.password, salt, int(iterations))
	if err != nil {
		return nil, err
	}
	return c.final(newHash, salted, first, nonce), nil
}

// final makes the client-final-message and keeps the signature that the server
// has to show. RFC 5802 section 3.
func (c *SCRAMDialog) final(newHash func() hash.Hash, salted []byte, serverFirst, nonce string) []byte {
	bound := append([]byte(c.gs2), c.binding...)
	withoutProof := "c=" + base64.StdEncoding.EncodeToString(bound) + ",r=" + nonce
	auth := c.bare + "," + serverFirst + "," + withoutProof
	clientKey := mac(newHash, salted, "Client Key")
	proof := xor(clientKey, mac(newHash, sum(newHash, clientKey), auth))
	c.serverSignature = mac(newHash, mac(newHash, salted, "Server Key"), auth)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof))
}

func (c *SCRAMDialog) verify(last string) ([]byte, error) {
	if c.serverSignature == nil {
		return nil, ErrUnexpected
	}
	if reason, _, ok := attribute(last, 'e'); ok {
		return nil, serverError(reason)
	}
	value, rest, ok := attribute(last, 'v')
	signature, decoded := decode(value, len(c.serverSignature))
	if !ok || !decoded || !extensions(rest) {
		return nil, ErrMalformed
	}
	if !hmac.Equal(signature, c.serverSignature) {
		return nil, ErrServer
	}
	c.done = true
	return []byte{}, nil
}

// serverError reads a server-error-value. RFC 5802 section 7.
func serverError(reason string) error {
	switch reason {
	case "invalid-proof", "unknown-user":
		return ErrCredentials
	case "channel-bindings-dont-match", "server-does-support-channel-binding",
		"channel-binding-not-supported", "unsupported-channel-binding-type":
		return ErrChannelBinding
	}
	if len(reason) > 64 {
		reason = reason[:64]
	}
	return fmt.Errorf("sasl: the server ended the exchange: %q", reason)
}
