// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"restante.example/internal/config"
)

func TestLogLevelForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLog(io.Discard, &config.Config{LogLevel: "warn"})
		var configured atomic.Value
		configured.Store("warn")
		is := func(want string, until bool) {
			t.Helper()
			if got, u := l.current(); got != want || (u != nil) != until {
				t.Errorf("the level is %s until %v, want %s", got, u, want)
			}
		}
		override := func(name string, d time.Duration) {
			l.override(name, d, func() string { return configured.Load().(string) })
		}
		is("warn", false)

		override("debug", 10*time.Minute)
		time.Sleep(9 * time.Minute)
		is("debug", true)
		// What is configured meanwhile is what holds afterwards.
		configured.Store("error")
		time.Sleep(2 * time.Minute)
		is("error", false)

		// A later one takes the place of an earlier one, its time included.
		override("debug", time.Minute)
		override("info", 0)
		time.Sleep(time.Hour)
		is("info", false)
		override("debug", time.Minute)
		override("info", time.Hour)
		time.Sleep(30 * time.Minute)
		is("info", true)

		// Reading the configuration again ends it.
		l.reset("warn")
		is("warn", false)
		time.Sleep(time.Hour)
		is("warn", false)
	})
}
