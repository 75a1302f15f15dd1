// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"fmt"
	"testing"
	"time"

	"restante.example/maildrop"
)

// The table of delays forgets what has passed, so that it stays as large as
// the number of users who signed in lately.
func TestDelaysForget(t *testing.T) {
	var d delays
	now := time.Unix(1_000_000, 0)
	for i := range 100_000 {
		now = now.Add(time.Second)
		d.note(viewKey{maildrop: maildrop.ID(fmt.Sprint(i))}, now, time.Minute)
	}
	if n := len(d.until); n > 1024 {
		t.Errorf("%d delays are kept", n)
	}
	last := viewKey{maildrop: "99999"}
	if got := d.left(last, now.Add(20*time.Second)); got != 40*time.Second {
		t.Errorf("%v are left", got)
	}
	d.note(last, now, 0)
	if got := d.left(last, now); got != 0 {
		t.Errorf("%v are left after the delay was taken away", got)
	}
}
