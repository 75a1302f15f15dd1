// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestTroubleOfTheDiskPasses: a file that could not be read after a change is read
// again for those who ask, a while later, and not only after a restart.
func TestTroubleOfTheDiskPasses(t *testing.T) {
	now := time.Now()
	d := open(t, &Options{Now: func() time.Time { return now }})
	quick(t, d, "ana")
	trouble := errors.New("disk I/O error")
	broken := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.current.Store(nil)
		d.broken, d.tried = trouble, now
	}
	broken()
	if _, err := d.Get(context.Background(), "ana"); !errors.Is(err, trouble) {
		t.Errorf("at once: %v", err)
	}
	now = now.Add(retryAfter)
	if _, err := d.Get(context.Background(), "ana"); err != nil {
		t.Errorf("later: %v", err)
	}
	broken()
	now = now.Add(-time.Hour) // the clock was set back
	if _, err := d.Get(context.Background(), "ana"); err != nil {
		t.Errorf("with another clock: %v", err)
	}
}

// TestOpenAnew: a connection that is stuck, here in a transaction that nobody
// ends, is left behind, and the file is as it was.
func TestOpenAnew(t *testing.T) {
	d := open(t, nil)
	quick(t, d, "ana")
	if _, err := d.db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := d.SetDisabled(context.Background(), "ana", true)
		if err == nil {
			break
		}
		t.Logf("stuck: %v", err)
	}
	u, err := d.Get(context.Background(), "ana")
	if err != nil || u.Enabled {
		t.Errorf("%+v, %v", u, err)
	}
}
