// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package proxyheader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// v2 builds a header of version 2 by hand.
func v2(command, family byte, payload ...[]byte) string {
	var body []byte
	for _, p := range payload {
		body = append(body, p...)
	}
	h := []byte("\r\n\r\n\x00\r\nQUIT\n")
	h = append(h, command, family)
	h = binary.BigEndian.AppendUint16(h, uint16(len(body)))
	return string(append(h, body...))
}

// tlv builds an addition.
func tlv(kind byte, value string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...)
}

var (
	ipv4 = []byte{192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 0, 110}
	ipv6 = append(append(netip.MustParseAddr("2001:db8::7").AsSlice(), netip.MustParseAddr("::1").AsSlice()...), 0x9c, 0x40, 0, 110)
	// overTLS is the addition PP2_TYPE_SSL of a client that speaks TLS 1.3.
	overTLS = tlv(0x20, "\x01\x00\x00\x00\x00"+string(tlv(0x21, "TLSv1.3")))
	inClear = tlv(0x20, "\x00\x00\x00\x00\x00")
)

const (
	proxy, local = 0x21, 0x20
	tcp4, tcp6   = 0x11, 0x21
)

func TestHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		header string
		addr   string // "" is none
		tls    bool
	}{
		"v1":              {"PROXY TCP4 192.0.2.7 10.0.0.1 40000 110\r\n", "192.0.2.7:40000", false},
		"v1 of IPv6":      {"PROXY TCP6 2001:db8::7 ::1 40000 110\r\n", "[2001:db8::7]:40000", false},
		"v1 unknown":      {"PROXY UNKNOWN\r\n", "", false},
		"v1 with the lot": {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "", false},
		"v2":              {v2(proxy, tcp4, ipv4), "192.0.2.7:40000", false},
		"v2 of IPv6":      {v2(proxy, tcp6, ipv6), "[2001:db8::7]:40000", false},
		"v2 with TLS":     {v2(proxy, tcp4, ipv4, overTLS), "192.0.2.7:40000", true},
		"v2 without TLS":  {v2(proxy, tcp4, ipv4, inClear), "192.0.2.7:40000", false},
		"v2 of 4 KiB":     {v2(proxy, tcp4, ipv4, tlv(0xe0, strings.Repeat("x", maxV2-12-3))), "192.0.2.7:40000", false},
		"v2 local":        {v2(local, 0), "", false},
		"v2 local, more":  {v2(local, tcp4, ipv4, overTLS), "", false},
		"v2 of a socket":  {v2(proxy, 0x31, make([]byte, 216)), "", false},
	} {
		for _, pace := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			r := strings.NewReader(test.header + "USER ana\r\n")
			c, err := read(pace(r))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			addr := ""
			if c.addr != nil {
				addr = c.addr.String()
			}
			if addr != test.addr || c.tls != test.tls {
				t.Errorf("%s: got %q, TLS %v; want %q, %v", name, addr, c.tls, test.addr, test.tls)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "USER ana\r\n" {
				t.Errorf("%s: %q is left for the server", name, rest)
			}
		}
	}
}

// What is no header is refused, at a cost that its sender does not choose.
func TestHostileHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		header string
		want   error // nil: any
	}{
		"a command":                  {"USER ana\r\nPASS secret\r\n", errNoHeader},
		"TLS":                        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 500), errNoHeader},
		"nothing":                    {"", errSilent},
		"v1 cut":                     {"PROXY TCP4 192.0.2.7 10.", io.EOF},
		"v1 cut at once":             {"PRO", io.ErrUnexpectedEOF},
		"v1 too long":                {"PROXY TCP4 " + strings.Repeat("1", 10_000), errTooLong},
		"v1 unknown, too long":       {"PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", errTooLong},
		"v1 with LF alone":           {"PROXY TCP4 192.0.2.7 10.0.0.1 40000 110\nUSER ana\r\n", nil},
		"v1 with a name":             {"PROXY TCP4 example.org 10.0.0.1 40000 110\r\n", nil},
		"v1 with the other family":   {"PROXY TCP4 2001:db8::7 ::1 40000 110\r\n", nil},
		"v1 with a port beyond":      {"PROXY TCP4 192.0.2.7 10.0.0.1 65536 110\r\n", nil},
		"v1 without ports":           {"PROXY TCP4 192.0.2.7 10.0.0.1\r\n", nil},
		"v1 with more":               {"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n", nil},
		"v1 of UDP":                  {"PROXY UDP4 192.0.2.7 10.0.0.1 40000 110\r\n", nil},
		"v2 cut in its length":       {v2(proxy, tcp4, ipv4)[:15], io.ErrUnexpectedEOF},
		"v2 cut in its addresses":    {v2(proxy, tcp4, ipv4)[:20], io.ErrUnexpectedEOF},
		"v2 cut behind its length":   {v2(proxy, tcp4, ipv4)[:16], io.EOF},
		"v2 of version 3":            {v2(0x31, tcp4, ipv4), nil},
		"v2 with another command":    {v2(0x22, tcp4, ipv4), nil},
		"v2 with no transport":       {v2(proxy, 0x10, ipv4), nil},
		"v2 of UDP":                  {v2(proxy, 0x12, ipv4), nil},
		"v2 without addresses":       {v2(proxy, tcp4), nil},
		"v2 with too few":            {v2(proxy, tcp6, ipv4), nil},
		"v2 with 64 KB":              {v2(proxy, tcp4, ipv4, tlv(0xe0, strings.Repeat("x", 65535-12-3))), errTooLong},
		"v2 that announces 64 KB":    {v2(proxy, tcp4)[:14] + "\xff\xff", errTooLong},
		"v2, an addition beyond":     {v2(proxy, tcp4, ipv4, []byte{0x20, 0xff, 0xff, 1}), nil},
		"v2, an addition cut":        {v2(proxy, tcp4, ipv4, []byte{0x20}), nil},
		"v2, a socket of datagrams":  {v2(proxy, 0x32, make([]byte, 216)), nil},
		"v2, one octet in the magic": {"\r\n\r\n\x00\r\nQUIT\r" + v2(proxy, tcp4, ipv4)[12:], errNoHeader},
	} {
		r := &counter{r: strings.NewReader(test.header)}
		_, err := read(r)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		if r.n > firstRead+4+maxV2 {
			t.Errorf("%s: %d octets were read", name, r.n)
		}
		if strings.Contains(name, "64 KB") && r.n > 16 {
			t.Errorf("%s: %d octets were read of what is too long", name, r.n)
		}
	}
}

// A connection is only TLS when the addition says so in a form that holds.
func TestBrokenTLSAddition(t *testing.T) {
	for name, addition := range map[string][]byte{
		"too short":         tlv(0x20, "\x01\x00\x00"),
		"inner one is cut":  tlv(0x20, "\x01\x00\x00\x00\x00\x21\x00\xff"),
		"without a version": tlv(0x20, "\x01\x00\x00\x00\x00"),
		"of another kind":   tlv(0x21, "\x01\x00\x00\x00\x00"),
		"another bit":       tlv(0x20, "\x02\x00\x00\x00\x00"+string(tlv(0x21, "TLSv1.3"))),
	} {
		if c, err := read(strings.NewReader(v2(proxy, tcp4, ipv4, addition))); err == nil && c.tls {
			t.Errorf("%s: it counts as TLS", name)
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestTrusts(t *testing.T) {
	rules := Rules{Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("2001:db8::1/128")}}
	for address, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "127.0.0.1": false,
		"2001:db8::1": true, "2001:db8::2": false, "fe80::1%eth0": true, "::": false,
	} {
		a := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 1))
		if got := rules.trusts(a); got != want {
			t.Errorf("%s: trusted %v, want %v", address, got, want)
		}
	}
	socket := &net.UnixAddr{Net: "unix"}
	if rules.trusts(socket) || rules.trusts(nil) || !(&Rules{Unix: true}).trusts(socket) {
		t.Error("a Unix socket is trusted where Unix says so, and nowhere else")
	}
}

// No octets make the reader fail other than by an error, or read beyond a
// header.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.7 10.0.0.1 40000 110\r\nUSER", "PROXY TCP6 2001:db8::7 ::1 40000 110\r\n", "PROXY UNKNOWN\r\n",
		v2(proxy, tcp4, ipv4, overTLS) + "USER", v2(proxy, tcp6, ipv6, inClear), v2(local, 0), v2(proxy, 0x31, make([]byte, 216)), "USER ana\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &counter{r: bytes.NewReader(data)}
		c, err := read(r)
		if r.n > firstRead+4+maxV2 {
			t.Fatalf("%d octets were read", r.n)
		}
		if err != nil {
			return
		}
		if c.addr != nil {
			if a, ok := c.addr.(*net.TCPAddr); !ok || !a.AddrPort().IsValid() {
				t.Fatalf("the address is %#v", c.addr)
			}
		}
		if !bytes.HasPrefix(data, []byte("PROXY ")) && !bytes.HasPrefix(data, []byte("\r\n\r\n\x00\r\nQUIT\n")) {
			t.Fatalf("%q was taken for a header", data)
		}
	})
}
