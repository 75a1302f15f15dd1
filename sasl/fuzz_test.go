// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"encoding/base64"
	"strings"
	"testing"
)

// right is the only password of the fuzzed servers.
const right = "right password"

// serve feeds messages, which the fuzzer parts by newlines, to a server that
// nobody can enter without the password, and returns whether it was entered.
func serve(t *testing.T, s Server, script []byte) bool {
	t.Helper()
	for line := range strings.SplitSeq(string(script), "\n") {
		challenge, done, err := s.Next([]byte(line))
		if err != nil && (done || challenge != nil) {
			t.Fatalf("an error with %q, done %v", challenge, done)
		}
		if err != nil {
			if _, done, err = s.Next([]byte(line)); done || err == nil {
				t.Fatalf("the exchange goes on after its end")
			}
			return false
		}
		if len(challenge) > 64*1024 {
			t.Fatalf("a challenge of %d octets", len(challenge))
		}
		if done {
			return true
		}
	}
	return false
}

func FuzzPasswordServers(f *testing.F) {
	for _, seed := range []string{"\x00u1\x00" + right, "\x00u1\x00wrong", "u1\n" + right, "\nu1", "a\x00b\x00c\x00d", "\n\n\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		check := func(_, user, password string) error {
			if user == "" || password != right {
				return ErrCredentials
			}
			return nil
		}
		for _, s := range []Server{PlainServer(check), LoginServer(check)} {
			if serve(t, s, script) && !strings.Contains(string(script), right) {
				t.Errorf("%T was entered by %q", s, script)
			}
		}
		serve(t, ExternalServer(func(identity string) error { return check("", identity, identity) }), script)
	})
}

func FuzzTokenServers(f *testing.F) {
	for _, seed := range []string{
		"n,a=u1,\x01host=h\x01port=1\x01auth=Bearer " + "t0ken\x01\x01", "user=u1\x01auth=Bearer t0ken\x01\x01",
		"user=u1\x01auth=Bearer x\x01\x01\n\x01", "n,,\x01\x01", "y,a=u=2C,\x01auth=bearer x\x01\x01",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		check := func(_, token string) error {
			if token != "t0ken" {
				return ErrCredentials
			}
			return nil
		}
		for _, make := range []func(func(u, t string) error) Server{OAuthBearerServer, XOAuth2Server} {
			s := make(check)
			entered := false
			for line := range strings.SplitSeq(string(script), "\n") {
				_, done, err := s.Next([]byte(line))
				if entered = done; done || err != nil {
					break
				}
			}
			if entered && !strings.Contains(string(script), "t0ken") {
				t.Errorf("entered by %q", script)
			}
		}
	})
}

func FuzzSCRAMServer(f *testing.F) {
	for _, v := range scramVectors {
		f.Add([]byte(v.clientFirst+"\n"+v.clientFinal), false)
		f.Add([]byte("p=tls-exporter"+v.clientFirst[1:]+"\n"+v.clientFinal), true)
	}
	f.Add([]byte("y,a=x=2Cy,n=u=3D,r=abc,x=y\nc=eSxhPXg9MkN5LA==,r=abc,p=AAAA"), false)
	f.Add([]byte("n,,n=u,r=\nc=biws,r=,p="+base64.StdEncoding.EncodeToString(make([]byte, 32))), false)
	keys := keysFor(f, "SHA-256", right)
	f.Fuzz(func(t *testing.T, script []byte, plus bool) {
		s := SCRAMServer("SHA-256", fixedKeys(keys), plus)
		if plus {
			s = SCRAMPlusServer("SHA-256", fixedKeys(keys), []ChannelBinding{{Type: BindExporter, Data: []byte("x")}})
		}
		if serve(t, s, script) || s.Matched() >= 0 {
			t.Errorf("entered by %q", script)
		}
	})
}

func FuzzSCRAMClient(f *testing.F) {
	f.Add("x,s=QSXCR+Q6sek8bf92,i=4096", "v=AAAA")
	f.Add("x,s=QSXCR+Q6sek8bf92,i=4096,m=x", "e=other-error")
	f.Add(",s=,i=", "")
	f.Fuzz(func(t *testing.T, first, last string) {
		if strings.Contains(first, "i=") && !strings.Contains(first, "i=4096") {
			return // a great count is legal and takes seconds
		}
		c := SCRAMClient("SHA-256", "", "u1", right, false)
		if _, _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_, err := c.Next([]byte("r=" + c.nonce + first))
		if err == nil {
			_, err = c.Next([]byte(last))
		}
		if err == nil || c.Done() {
			t.Errorf("a server that knows nothing was believed: %q, %q", first, last)
		}
	})
}
