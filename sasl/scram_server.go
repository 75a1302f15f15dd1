// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SCRAMLookup returns the keys for a name, which is prepared by Prep; identity
// is whom the client wants to act for, empty where it asked for none. Its
// error ends the exchange. For an unknown name it returns no error and no keys,
// and a salt that stays the same for that name.
type SCRAMLookup func(identity, name string) (SCRAMKeys, error)

// SCRAMExchange is the server of SCRAM. RFC 5802.
type SCRAMExchange struct {
	hash      string
	lookup    SCRAMLookup
	plus      bool // this is a PLUS mechanism
	offered   bool // the server offered a PLUS mechanism
	bindings  []ChannelBinding
	nonce     string
	name      string
	keys      SCRAMKeys
	bound     []byte // what c= has to hold
	exchanged string // client-first-message-bare and server-first-message
	turn      int
	matched   int
}

// SCRAMServer serves SCRAM with the hash "SHA-256" or "SHA-1", without channel
// binding. plusOffered says whether the server offered the PLUS mechanism on
// this connection; a client that believes it did not is refused with
// ErrChannelBinding, since somebody has changed the list on its way. RFC 5802
// section 6.
func SCRAMServer(hash string, lookup SCRAMLookup, plusOffered bool) *SCRAMExchange {
	return &SCRAMExchange{hash: hash, lookup: lookup, offered: plusOffered, nonce: newNonce(), matched: -1}
}

// SCRAMPlusServer serves SCRAM-...-PLUS on a connection with these bindings,
// of which the client chooses.
func SCRAMPlusServer(hash string, lookup SCRAMLookup, bindings []ChannelBinding) *SCRAMExchange {
	return &SCRAMExchange{
		hash: hash, lookup: lookup, plus: true, offered: true,
		bindings: bindings, nonce: newNonce(), matched: -1,
	}
}

// Matched returns the index of the key that the client proved, or -1.
func (s *SCRAMExchange) Matched() int { return s.matched }

// Name returns the prepared name that the client gave, or nothing before that.
func (s *SCRAMExchange) Name() string { return s.name }

// Next serves the exchange. It fails with ErrCredentials when no key matches,
// ErrChannelBinding, ErrMalformed, or what the look-up said.
func (s *SCRAMExchange) Next(response []byte) ([]byte, bool, error) {
	if response == nil && s.turn == 0 {
		s.turn = 1
		return []byte{}, false, nil
	}
	if len(response) > maxSCRAM || !utf8.Valid(response) {
		s.turn = 3
		return nil, false, ErrMalformed
	}
	turn := s.turn
	s.turn = 3
	switch turn {
	case 0, 1:
		challenge, err := s.first(string(response))
		if err == nil {
			s.turn = 2
		}
		return challenge, false, err
	case 2:
		challenge, err := s.final(string(response))
		return challenge, err == nil, err
	}
	return nil, false, ErrUnexpected
}

// first reads the client-first-message.
func (s *SCRAMExchange) first(message string) ([]byte, error) {
	flag, rest, ok := strings.Cut(message, ",")
	if !ok {
		return nil, ErrMalformed
	}
	data, err := s.checkFlag(flag)
	if err != nil {
		return nil, err
	}
	authz, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, ErrMalformed
	}
	identity := ""
	if authz != "" {
		value, found := strings.CutPrefix(authz, "a=")
		if identity, err = readName(value); !found || err != nil {
			return nil, ErrMalformed
		}
	}
	escaped, rest, ok := attribute(bare, 'n')
	clientNonce, rest, nonceOK := attribute(rest, 'r')
	if !ok || !nonceOK || len(clientNonce) > maxNonce/2 || !validNonce(clientNonce) || !extensions(rest) {
		return nil, ErrMalformed
	}
	if s.name, err = readName(escaped); err != nil {
		return nil, err
	}
	if s.keys, err = s.lookup(identity, s.name); err != nil {
		return nil, err
	}
	s.bound = append([]byte(flag+","+authz+","), data...)
	s.nonce = clientNonce + s.nonce
	challenge := "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.keys.Salt) +
		",i=" + strconv.Itoa(s.keys.Iterations)
	s.exchanged = bare + "," + challenge
	return []byte(challenge), nil
}

// checkFlag checks the channel binding flag and returns the binding's data.
// RFC 5802 section 6.
func (s *SCRAMExchange) checkFlag(flag string) ([]byte, error) {
	kind, bound := strings.CutPrefix(flag, "p=")
	switch {
	case bound && !s.plus, flag == "n" && s.plus:
		return nil, ErrMalformed
	case flag == "y" && s.offered:
		return nil, ErrChannelBinding
	case flag == "n", flag == "y":
		return nil, nil
	case !bound:
		return nil, ErrMalformed
	}
	for _, b := range s.bindings {
		if b.Type == kind && len(b.Data) > 0 {
			return b.Data, nil
		}
	}
	return nil, ErrChannelBinding
}

// readName unescapes and prepares a name. RFC 5802 section 5.1.
func readName(escaped string) (string, error) {
	raw, ok := unescapeName(escaped)
	if !ok || len(raw) > maxField {
		return "", ErrMalformed
	}
	name, err := Prep(raw)
	if err != nil {
		return "", err
	}
	if name == "" {
		return "", ErrMalformed
	}
	return name, nil
}

// final reads the client-final-message, checks the proof against every key
// and returns the server's signature.
func (s *SCRAMExchange) final(message string) ([]byte, error) {
	newHash, err := hashNamed(s.hash)
	if err != nil {
		return nil, err
	}
	// The proof is the last attribute; everything before it is signed.
	at := strings.LastIndex(message, ",p=")
	if at < 0 {
		return nil, ErrMalformed
	}
	signed := message[:at]
	proof, ok := decode(message[at+len(",p="):], newHash().Size())
	if !ok || len(proof) != newHash().Size() {
		return nil, ErrMalformed
	}
	binding, rest, ok := attribute(signed, 'c')
	bound, decoded := decode(binding, maxSCRAM)
	nonce, rest, nonceOK := attribute(rest, 'r')
	if !ok || !decoded || !nonceOK || !extensions(rest) {
		return nil, ErrMalformed
	}
	if !hmac.Equal(bound, s.bound) {
		return nil, ErrChannelBinding
	}
	if nonce != s.nonce {
		return nil, ErrMalformed
	}
	auth := s.exchanged + "," + signed
	index, signature := s.match(newHash, proof, auth)
	if index < 0 {
		return nil, ErrCredentials
	}
	s.matched = index
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), nil
}

// match tests the proof against every key in the same time whichever matches,
// and against one that cannot match where there is none.
func (s *SCRAMExchange) match(newHash func() hash.Hash, proof []byte, auth string) (int, []byte) {
	keys := s.keys.Keys
	if len(keys) == 0 {
		size := newHash().Size()
		keys = []SCRAMKey{{StoredKey: make([]byte, size), ServerKey: make([]byte, size)}}
	}
	index := -1
	signature := make([]byte, newHash().Size())
	for i, key := range keys {
		clientKey := xor(proof, mac(newHash, key.StoredKey, auth))
		equal := subtle.ConstantTimeCompare(sum(newHash, clientKey), key.StoredKey)
		own := mac(newHash, key.ServerKey, auth)
		subtle.ConstantTimeCopy(equal, signature, own)
		index = subtle.ConstantTimeSelect(equal, i, index)
	}
	if len(s.keys.Keys) == 0 {
		return -1, nil
	}
	return index, signature
}
