// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import "net"

// Proxied is a connection whose client stands behind a proxy that the operator
// trusts. Its RemoteAddr is the address of the client as the proxy tells it,
// which limits, the guard and the log go by; it is never taken for this machine,
// whatever the address is, so that passwords in clear text are refused as they
// are to everybody from elsewhere.
type Proxied interface {
	net.Conn
	// ProxiedTLS reports whether the proxy is believed that the client speaks TLS
	// with it. Then passwords are accepted as they come.
	ProxiedTLS() bool
}
