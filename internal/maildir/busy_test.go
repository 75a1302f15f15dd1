// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// Another program that moves messages and changes their flags all the time
// hides none of them, and none is gone that is there.
func TestBusyNeighbour(t *testing.T) {
	f, err := fsx.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const n = 300
	where := make([]string, n)
	for i := range where {
		where[i] = fmt.Sprintf("new/%d.a", 1000+i)
	}
	dropFile(t, f, where[0], "first")
	for i := 1; i < n; i++ {
		file, err := fsx.Create(f, root+where[i])
		if err == nil {
			_, err = fmt.Fprintf(file, "message %d\n", i)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	// For each step of ours the neighbour may take some of its own meanwhile.
	steps := make(chan struct{}, 20)
	step := func() {
		for range cap(steps) {
			select {
			case steps <- struct{}{}:
			default:
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range steps {
			i := rand.IntN(n)
			b, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(where[i], "new/"), "cur/"), ":")
			to := fmt.Sprintf("cur/%s:2,%s", b, strings.Repeat("x", rand.IntN(20)))
			if to == where[i] {
				continue
			}
			err := f.Rename(root+where[i], root+to)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
				return
			}
			where[i] = to
		}
	})
	missing, gone := 0, 0
	s := storeOn(t, f, time.Now)
	for range 60 {
		step()
		sn, err := s.Open(context.Background(), "u", "")
		if err != nil {
			t.Fatal(err)
		}
		missing += n - sn.Len()
		for range 20 {
			step()
			i := 1 + rand.IntN(sn.Len())
			if _, err := readAll(sn, i); errors.Is(err, maildrop.ErrGone) {
				gone++
			} else if err != nil {
				t.Error(err)
			}
		}
		sn.Close()
	}
	close(steps)
	wg.Wait()
	if missing != 0 || gone != 0 {
		t.Errorf("%d messages were missing in 60 sessions, %d of 1,200 were gone", missing, gone)
	}
	if sn, err := s.Open(context.Background(), "u", ""); err != nil || sn.Len() != n {
		t.Errorf("in the end: %v, %v", sn, err)
	}
}
