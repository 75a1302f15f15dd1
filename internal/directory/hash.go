// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// ErrBusy is what SignIn answers when so many passwords are being checked that
// this one would wait too long. It is temporary and says nothing about the
// credentials.
var ErrBusy = errors.New("directory: too many passwords are being checked at once; try again later")

// hasher computes argon2id with a bounded number at once: each needs memory and
// a core for about 0.1 seconds.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	// settle gives the memory of the last hashes back to the system once there
	// have been none for a while: 19 MiB each, which an office with thousands
	// of idle sessions would otherwise keep as garbage, for want of anything
	// that starts a collection.
	settle *time.Timer
}

// settleTime is how long no password was checked before memory is given back.
const settleTime = time.Second

func newHasher(slots, queue int, freeMemory func()) *hasher {
	h := &hasher{slots: make(chan struct{}, slots), queue: int64(queue)}
	h.settle = time.AfterFunc(settleTime, func() {
		if len(h.slots) == 0 {
			freeMemory()
		}
	})
	h.settle.Stop()
	return h
}

// acquire takes a slot, waiting for one unless the queue is full. A patient
// caller, such as a command of the operator, waits in any case.
func (h *hasher) acquire(ctx context.Context, patient bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	if h.waiting.Add(1) > h.queue && !patient {
		h.waiting.Add(-1)
		return ErrBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) release() {
	<-h.slots
	h.settle.Reset(settleTime)
}

// cost are the parameters of argon2id. RFC 9106; the values are OWASP's.
type cost struct {
	Time, Memory uint32 // passes, KiB
	Threads      uint8
}

func defaultCost() cost { return cost{Time: 2, Memory: 19 * 1024, Threads: 1} }

// hash returns the PHC string of a prepared password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx, true); err != nil {
		return "", err
	}
	defer h.release()
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	c := defaultCost()
	sum := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, 32)
	return encodeHash(c, salt, sum), nil
}

// verify reports whether a prepared password has the hash.
func (h *hasher) verify(ctx context.Context, phc, password string) (bool, error) {
	c, salt, want, err := decodeHash(phc)
	if err != nil {
		return false, err
	}
	if err := h.acquire(ctx, false); err != nil {
		return false, err
	}
	defer h.release()
	got := argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

func encodeHash(c cost, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		c.Memory, c.Time, c.Threads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// dummyHash costs as much as a real one and belongs to no password.
func dummyHash() string { return encodeHash(defaultCost(), make([]byte, 16), make([]byte, 32)) }

// decodeHash reads a PHC string. Its costs are bounded, so that a damaged row
// cannot stop the server.
func decodeHash(phc string) (c cost, salt, sum []byte, err error) {
	var version int
	var salt64, sum64 string
	bad := errors.New("directory: a stored password hash is not an argon2id PHC string; set the password anew")
	head, rest, ok := cutN(phc, '$', 4)
	if !ok {
		return c, nil, nil, bad
	}
	if _, err := fmt.Sscanf(head, "$argon2id$v=%d$m=%d,t=%d,p=%d", &version, &c.Memory, &c.Time, &c.Threads); err != nil {
		return c, nil, nil, bad
	}
	salt64, sum64, ok = cutN(rest, '$', 1)
	if !ok || version != argon2.Version || c.Memory < 8 || c.Memory > 256*1024 || c.Time < 1 || c.Time > 16 || c.Threads < 1 {
		return c, nil, nil, bad
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(salt64)
	sum, err2 := base64.RawStdEncoding.DecodeString(sum64)
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return c, nil, nil, bad
	}
	return c, salt, sum, nil
}

// cutN cuts s at the n-th sep.
func cutN(s string, sep byte, n int) (before, after string, ok bool) {
	for i := range len(s) {
		if s[i] != sep {
			continue
		}
		if n--; n == 0 {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
