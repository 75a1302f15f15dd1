// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxyheader tells who stands behind a proxy: it reads the header of
// the PROXY protocol, version 1 or 2, that a proxy puts before what its client
// says (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). A header
// is believed only from the sources that the operator names.
package proxyheader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

const (
	// firstRead is how much is read to tell the versions apart: the signature of
	// version 2, which no header of version 1 falls short of.
	firstRead = 12
	// maxV1 is the longest header of version 1, its CRLF included; section 2.1.
	maxV1 = 107
	// maxV2 bounds addresses and additions of version 2, which could be 64 KiB.
	// Proxies send some tens of octets, and a few hundred with the names of
	// certificates.
	maxV2 = 4096
)

// Errors of a header that is none.
var (
	errNoHeader = errors.New("proxyheader: no PROXY header came; let the proxy send one, or take its address out of the proxies of this listener")
	errSilent   = errors.New("proxyheader: the connection ended without a word")
	errTooLong  = errors.New("proxyheader: the PROXY header is too long")
)

// client is what a header says.
type client struct {
	addr net.Addr // nil: the proxy speaks for itself, or does not know
	tls  bool     // the client speaks TLS with the proxy
}

// read reads a header, not an octet more, and says what is in it.
func read(r io.Reader) (client, error) {
	raw, err := readRaw(r)
	if err != nil {
		return client{}, err
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return client{}, fmt.Errorf("proxyheader: %w", err)
	}
	if h.Command.IsLocal() || h.TransportProtocol.IsUnspec() {
		return client{}, nil // section 2.2: a health check, or nothing is known
	}
	if !h.TransportProtocol.IsStream() {
		return client{}, errors.New("proxyheader: the PROXY header is not of a stream")
	}
	c := client{}
	if source, _, ok := h.TCPAddrs(); ok {
		c.addr = source
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return client{}, fmt.Errorf("proxyheader: %w", err)
	}
	if ssl, ok := tlvparse.FindSSL(tlvs); ok {
		c.tls = ssl.ClientSSL()
	}
	return c, nil
}

// readRaw reads the octets of a header.
func readRaw(r io.Reader) ([]byte, error) {
	raw := make([]byte, firstRead, maxV1)
	for n := 0; n < firstRead; {
		more, err := r.Read(raw[n:])
		n += more
		switch {
		case !mayBegin(raw[:n]):
			return nil, errNoHeader // a client need not finish what is none
		case n < firstRead && n > 0 && errors.Is(err, io.EOF):
			return nil, notWhole(io.ErrUnexpectedEOF)
		case n == 0 && errors.Is(err, io.EOF):
			return nil, errSilent
		case n < firstRead && err != nil:
			return nil, notWhole(err)
		}
	}
	if bytes.Equal(raw, proxyproto.SIGV2) {
		return readV2(r, raw)
	}
	// Version 1 ends with a line, and what follows is the client's: octet by octet.
	for !bytes.HasSuffix(raw, []byte("\r\n")) {
		if len(raw) == maxV1 {
			return nil, errTooLong
		}
		raw = raw[:len(raw)+1]
		if _, err := io.ReadFull(r, raw[len(raw)-1:]); err != nil {
			return nil, notWhole(err)
		}
	}
	return raw, nil
}

func notWhole(err error) error {
	return fmt.Errorf("proxyheader: the PROXY header did not come whole: %w", err)
}

// mayBegin reports whether a header can begin like that.
func mayBegin(first []byte) bool {
	for _, signature := range [][]byte{proxyproto.SIGV1, proxyproto.SIGV2} {
		n := min(len(first), len(signature))
		if bytes.Equal(first[:n], signature[:n]) {
			return true
		}
	}
	return false
}

func readV2(r io.Reader, signature []byte) ([]byte, error) {
	raw := append(signature, 0, 0, 0, 0)
	if _, err := io.ReadFull(r, raw[firstRead:]); err != nil {
		return nil, notWhole(err)
	}
	n := int(binary.BigEndian.Uint16(raw[firstRead+2:]))
	if n > maxV2 {
		return nil, errTooLong
	}
	raw = append(raw, make([]byte, n)...)
	if _, err := io.ReadFull(r, raw[firstRead+4:]); err != nil {
		return nil, notWhole(err)
	}
	return raw, nil
}

// Rules say whose headers are believed.
type Rules struct {
	// Sources are the addresses of the proxies.
	Sources []netip.Prefix
	// Unix believes whoever connects over a Unix socket.
	Unix bool
	// TrustTLS believes also what they say about TLS between the client and them.
	TrustTLS bool
}

// trusts reports whether a header must come from an address.
func (r *Rules) trusts(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return r.Unix && a != nil && a.Network() == "unix"
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, p := range r.Sources {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
