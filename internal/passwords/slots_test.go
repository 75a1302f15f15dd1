// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryOfHashesIsGivenBack: once after a burst, and not while passwords
// are still being checked.
func TestMemoryOfHashesIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		freed := 0
		s := NewSlots(2, 1, func() { freed++ })
		ctx := context.Background()
		time.Sleep(time.Minute)
		if freed != 0 {
			t.Fatal("freed before there was anything to free")
		}
		for range 5 {
			if err := s.Acquire(ctx, false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(settleTime / 2)
			s.Release()
		}
		if err := s.Acquire(ctx, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * settleTime)
		if freed != 0 {
			t.Fatal("freed while a password is being checked")
		}
		s.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if freed != 1 {
			t.Fatalf("freed %d times after one burst, want once", freed)
		}
	})
}
