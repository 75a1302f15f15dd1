// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"crypto/tls"
	"sync"
)

// oneRecord is how many octets TLS sends in one record at most. RFC 8446
// section 5.1.
const oneRecord = 16 << 10

// recordBuffers hold the records of a long buffer, with what TLS adds to each.
var recordBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, longBuffer+longBuffer/oneRecord*64)
	return &b
}}

// records writes to a client under TLS. Package tls makes a system call of each
// record; here those of one write go out together.
type records struct {
	tls   *tls.Conn
	meter *meter
}

func (c *conn) records() records { return records{c.tls, &c.meter} }

// Write implements io.Writer. Only who holds a long buffer writes more than one
// record, so there are no more buffers here than there are of those.
func (r records) Write(p []byte) (int, error) {
	if len(p) <= oneRecord {
		return r.tls.Write(p)
	}
	held := recordBuffers.Get().(*[]byte)
	defer recordBuffers.Put(held)
	*held = (*held)[:0]
	r.meter.records = held
	n, err := r.tls.Write(p)
	r.meter.records = nil
	if err == nil {
		_, err = r.meter.Write(*held)
	}
	return n, err
}
