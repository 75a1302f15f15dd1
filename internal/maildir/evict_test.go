// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// A session that comes and goes while a maildrop leaves the memory leaves no
// directories open.
func TestSessionWhileEvicted(t *testing.T) {
	dir, err := fsx.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := storeOn(t, dir, time.Now)
	deliver(t, s, "one")
	// What evict does, in two halves.
	openView(t, s, maildrop.Classic).Close()
	d := s.hold("u")
	sn := openView(t, s, maildrop.Classic)
	if got, err := readAll(sn, 1); err != nil || got != "one\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	sn.Close()
	s.mu.Lock()
	if d.refs != 1 {
		t.Errorf("%d use it", d.refs)
	}
	d.dead = true
	delete(s.drops, "u")
	s.mu.Unlock()
	s.release(d)
	if d.handles != nil || s.handles != 0 {
		t.Errorf("open: %v, counted: %d", d.handles, s.handles)
	}
}
