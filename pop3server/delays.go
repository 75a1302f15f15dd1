// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import "time"

// delays holds until when views may not be opened again. The zero value is
// ready.
type delays struct {
	until map[viewKey]time.Time
	sweep int // at this size, what has passed is dropped
}

func (d *delays) left(key viewKey, now time.Time) time.Duration {
	return max(0, d.until[key].Sub(now))
}

func (d *delays) note(key viewKey, now time.Time, delay time.Duration) {
	if delay <= 0 {
		delete(d.until, key)
		return
	}
	if d.until == nil {
		d.until, d.sweep = make(map[viewKey]time.Time), 1024
	}
	d.until[key] = now.Add(delay)
	if len(d.until) < d.sweep {
		return
	}
	for k, t := range d.until {
		if !t.After(now) {
			delete(d.until, k)
		}
	}
	d.sweep = max(1024, 2*len(d.until))
}
