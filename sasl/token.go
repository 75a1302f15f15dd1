// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TokenFailure is why a token was refused, as the server says it in JSON. RFC
// 7628 section 3.2.2. It counts as ErrCredentials.
type TokenFailure struct {
	// Status is a word such as "invalid_token", or at XOAUTH2 an HTTP status
	// such as "400".
	Status string `json:"status"`
	// Schemes and Scope say what would be accepted, or are empty.
	Schemes string `json:"schemes,omitempty"`
	Scope   string `json:"scope,omitempty"`
	// Configuration is the address of the provider's OpenID configuration, or
	// empty.
	Configuration string `json:"openid-configuration,omitempty"`
	// Raw is the challenge as it came: text of the peer, not yet fit for a
	// terminal.
	Raw []byte `json:"-"`
}

// Error names the status.
func (f *TokenFailure) Error() string {
	return fmt.Sprintf("sasl: the token was refused (status %q)", f.Status)
}

// Is makes errors.Is(err, ErrCredentials) true.
func (f *TokenFailure) Is(target error) bool { return target == ErrCredentials }

// TokenClient is the client of OAUTHBEARER and XOAUTH2.
type TokenClient struct {
	clientState
	mechanism, initial string
	farewell           []byte
	failure            *TokenFailure
}

// OAuthBearerClient signs in with a token by OAUTHBEARER, RFC 7628. Host and
// port are those that were dialled; an empty host leaves both out. Only under
// TLS.
func OAuthBearerClient(user, token, host string, port int) *TokenClient {
	var b strings.Builder
	b.WriteString("n,")
	if user != "" {
		b.WriteString("a=" + escapeName(user))
	}
	b.WriteString(",\x01")
	if host != "" {
		b.WriteString("host=" + host + "\x01port=" + strconv.Itoa(port) + "\x01")
	}
	b.WriteString("auth=Bearer " + token + "\x01\x01")
	c := &TokenClient{mechanism: "OAUTHBEARER", initial: b.String(), farewell: []byte{1}}
	c.refuse(user, token, host)
	return c
}

// XOAuth2Client signs in with a token by XOAUTH2, the older form that Google
// and Microsoft have. Only under TLS.
func XOAuth2Client(user, token string) *TokenClient {
	c := &TokenClient{mechanism: "XOAUTH2", farewell: []byte{}}
	c.initial = "user=" + user + "\x01auth=Bearer " + token + "\x01\x01"
	c.refuse(user, token, "")
	return c
}

// refuse empties the message when a field would break out of its place.
func (c *TokenClient) refuse(user, token, host string) {
	if !plainField(user) || strings.Contains(user, "\x01") || !isToken(token) ||
		!plainField(host) || strings.Contains(host, "\x01") || len(c.initial) > maxMessage {
		c.initial = ""
	}
}

// isToken reports whether s has the form of a bearer token, printable ASCII
// without blanks. RFC 6750 section 2.1 allows less; some providers do not keep
// to it.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// Start returns the token as initial response. It fails with ErrMalformed when
// name or token have characters that cannot be sent.
func (c *TokenClient) Start() (string, []byte, error) {
	if c.initial == "" {
		return "", nil, ErrMalformed
	}
	c.done = true
	return c.mechanism, []byte(c.initial), nil
}

// Next takes the server's refusal and answers it, so that the connection stays
// in step; the server then ends the exchange. RFC 7628 section 3.2.3.
func (c *TokenClient) Next(challenge []byte) ([]byte, error) {
	c.turn++
	c.done = false
	if c.turn > 1 {
		return nil, ErrUnexpected
	}
	if len(challenge) > maxMessage {
		return nil, ErrMalformed
	}
	c.failure = &TokenFailure{Raw: append([]byte(nil), challenge...)}
	// What is no JSON is kept raw: the server refused, that much is sure.
	if err := json.Unmarshal(challenge, c.failure); err != nil {
		c.failure.Status = "unknown"
	}
	return c.farewell, nil
}

// Failure returns what the server said when it refused the token, or nil.
func (c *TokenClient) Failure() *TokenFailure { return c.failure }

type tokenServer struct {
	check   func(user, token string) error
	parse   func(message string) (user, token string, err error)
	turn    int
	refusal error
}

// OAuthBearerServer serves OAUTHBEARER, RFC 7628. The callback checks a token;
// user is empty where the client named none. When it returns an error that is
// ErrCredentials, the client is told so in JSON (a *TokenFailure chooses what),
// answers, and then the exchange ends with that error. Every other error ends
// it at once.
func OAuthBearerServer(check func(user, token string) error) Server {
	return &tokenServer{check: check, parse: parseOAuthBearer}
}

// XOAuth2Server serves XOAUTH2, with the callback of OAuthBearerServer.
func XOAuth2Server(check func(user, token string) error) Server {
	return &tokenServer{check: check, parse: parseXOAuth2}
}

func (s *tokenServer) Next(response []byte) ([]byte, bool, error) {
	s.turn++
	if response == nil && s.turn == 1 {
		return []byte{}, false, nil
	}
	if err := s.refusal; err != nil {
		s.refusal = nil
		return nil, false, err
	}
	if s.check == nil {
		return nil, false, ErrUnexpected
	}
	check := s.check
	s.check = nil
	if len(response) > maxMessage {
		return nil, false, ErrMalformed
	}
	user, token, err := s.parse(string(response))
	if err != nil {
		return nil, false, err
	}
	err = check(user, token)
	switch {
	case err == nil:
		return nil, true, nil
	case !errors.Is(err, ErrCredentials):
		return nil, false, err
	}
	failure := &TokenFailure{Status: "invalid_token"}
	errors.As(err, &failure)
	told, encodeErr := json.Marshal(failure)
	if encodeErr != nil {
		return nil, false, errors.Join(err, encodeErr)
	}
	s.refusal = err
	return told, false, nil
}

// parseOAuthBearer takes "n,a=NAME,^Akey=value^A...^A^A" apart. RFC 7628
// section 3.1.
func parseOAuthBearer(message string) (user, token string, err error) {
	header, pairs, ok := strings.Cut(message, "\x01")
	parts := strings.Split(header, ",")
	// Binding flags other than n and y have no meaning here: there is no PLUS.
	if !ok || len(parts) != 3 || parts[0] != "n" && parts[0] != "y" || parts[2] != "" {
		return "", "", ErrMalformed
	}
	if parts[1] != "" {
		name, found := strings.CutPrefix(parts[1], "a=")
		if user, ok = unescapeName(name); !found || !ok || user == "" || !plainField(user) {
			return "", "", ErrMalformed
		}
	}
	token, err = bearer(pairs)
	return user, token, err
}

// parseXOAuth2 takes "user=NAME^Aauth=Bearer TOKEN^A^A" apart.
func parseXOAuth2(message string) (user, token string, err error) {
	first, pairs, ok := strings.Cut(message, "\x01")
	user, found := strings.CutPrefix(first, "user=")
	if !ok || !found || user == "" || !plainField(user) {
		return "", "", ErrMalformed
	}
	token, err = bearer(pairs)
	return user, token, err
}

// bearer returns the token from key=value pairs that each end in ^A, with one
// more ^A at the end.
func bearer(pairs string) (string, error) {
	list, ok := strings.CutSuffix(pairs, "\x01\x01")
	if !ok {
		return "", ErrMalformed
	}
	token := ""
	for pair := range strings.SplitSeq(list, "\x01") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", ErrMalformed
		}
		if key != "auth" {
			continue
		}
		scheme, rest, _ := strings.Cut(value, " ")
		rest = strings.Trim(rest, " ")
		if token != "" || !strings.EqualFold(scheme, "Bearer") || !isToken(rest) {
			return "", ErrMalformed
		}
		token = rest
	}
	if token == "" {
		return "", ErrMalformed
	}
	return token, nil
}
