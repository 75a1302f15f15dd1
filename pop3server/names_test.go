// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server_test

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"

	"restante.example/sasl"
)

// A sign-in is bound to the certificate that was shown, where that is chosen by
// name. RFC 6066 section 3; RFC 5929 section 4.
func TestSCRAMPlusByName(t *testing.T) {
	first, second := newCertificate(), newCertificate()
	opt := options(office(t))
	opt.TLSConfig = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "second.example.org" {
			return &second, nil
		}
		return &first, nil
	}}
	s := serve(t, opt)
	var before sasl.ChannelBinding
	for _, name := range []string{"first.example.org", "second.example.org"} {
		c := dial(t, s, "192.0.2.1")
		c.want("+OK")
		c.ask("STLS", "+OK")
		state := c.startTLS(&tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		shown := map[string]tls.Certificate{"first.example.org": first, "second.example.org": second}[name]
		if !bytes.Equal(state.PeerCertificates[0].Raw, shown.Certificate[0]) {
			t.Fatalf("%s: the wrong certificate", name)
		}
		binding := sasl.ClientBindings(state)[0]
		if binding.Type != sasl.BindServerEndPoint {
			t.Fatalf("%s: the binding is %s", name, binding.Type)
		}
		if before.Type != "" {
			if got := c.authenticate(sasl.SCRAMPlusClient("SHA-256", "", "ana", "secret", before)); !strings.HasPrefix(got, "-ERR channel binding") {
				t.Errorf("%s with the other certificate: %q", name, got)
			}
		}
		if got := c.authenticate(sasl.SCRAMPlusClient("SHA-256", "", "ana", "secret", binding)); !strings.HasPrefix(got, "+OK") {
			t.Errorf("%s: %q", name, got)
		}
		before = binding
		c.ask("QUIT", "+OK")
		c.ended()
	}
}
