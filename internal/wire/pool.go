// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"sync"
	"sync/atomic"
)

// Pool lends write buffers, so that a connection holds one only while it has
// something to say: a short one at first, and a long one for what does not fit
// into that. Few long ones are lent at the same time, so that clients who ask
// for much and take nothing cannot hold more memory than that; everybody else
// goes on with the short one. It may be used by any number of goroutines.
type Pool struct {
	short, long sync.Pool // of *[]byte
	most        int32
	lent        atomic.Int32
}

// minBuffer leaves room for a status line and the work of stuffing.
const minBuffer = 1024

// NewPool returns a pool of buffers of size octets, at least 1,024.
func NewPool(size int) *Pool {
	p := &Pool{}
	p.short.New = func() any { return newBuffer(max(size, minBuffer)) }
	return p
}

// NewGrowingPool returns a pool of buffers of short octets, at least 1,024, of
// which most at a time are exchanged for some of long octets.
func NewGrowingPool(short, long, most int) *Pool {
	p := NewPool(short)
	p.long.New = func() any { return newBuffer(long) }
	p.most = int32(most)
	return p
}

func newBuffer(size int) *[]byte {
	b := make([]byte, 0, size)
	return &b
}

// loan is a buffer of a pool, or none.
type loan struct {
	buffer *[]byte
	long   bool
}

func (p *Pool) lendShort() loan { return loan{buffer: p.short.Get().(*[]byte)} }

// lendLong fails when all are lent.
func (p *Pool) lendLong() (loan, bool) {
	if p.lent.Add(1) > p.most {
		p.lent.Add(-1)
		return loan{}, false
	}
	return loan{p.long.Get().(*[]byte), true}, true
}

func (p *Pool) takeBack(l loan) {
	switch {
	case l.buffer == nil:
	case l.long:
		p.long.Put(l.buffer)
		p.lent.Add(-1)
	default:
		p.short.Put(l.buffer)
	}
}
