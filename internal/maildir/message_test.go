// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"restante.example/internal/fsx/memfs"
	"restante.example/internal/wire"
	"restante.example/maildrop"
)

// However a message is read, it is the same, for sizes around every border.
func TestStreams(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	sizes := []int{0, 1, 2, 3, smallRead - 1, smallRead, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 3*chunk + 7}
	var want []string
	for i, size := range sizes {
		for _, line := range []string{"x", "\n", "a\n", "a\r\n", "ab\r"} {
			body := strings.Repeat(line, size/len(line)+1)[:size]
			var norm wire.Normalizer
			wireForm := string(norm.Finish(norm.Append(nil, []byte(body))))
			deliver(t, s, body)
			want = append(want, wireForm)
			dropFile(t, f, "new/"+strings.Repeat("9", i+1)+"."+strings.Repeat("x", 1+len(line))+line[:1]+".host", body)
		}
	}
	c.add(time.Hour)
	sn := openView(t, s, "")
	defer sn.Close()
	seen := map[string]int{}
	for n := 1; n <= sn.Len(); n++ {
		open := func() io.ReadCloser {
			r, err := sn.Message(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		plain, err := readAll(sn, n)
		if err != nil {
			t.Fatal(err)
		}
		seen[plain]++
		if int64(len(plain)) != sn.Info(n).Size {
			t.Errorf("%d octets, announced %d", len(plain), sn.Info(n).Size)
		}
		for name, read := range map[string]func(r io.Reader) ([]byte, error){
			"octet by octet": func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
			"WriteTo": func(r io.Reader) ([]byte, error) {
				var b bytes.Buffer
				_, err := r.(io.WriterTo).WriteTo(&b)
				return b.Bytes(), err
			},
			"a little, then WriteTo": func(r io.Reader) ([]byte, error) {
				var b bytes.Buffer
				if _, err := io.CopyN(&b, r, min(5, sn.Info(n).Size)); err != nil {
					return nil, err
				}
				_, err := r.(io.WriterTo).WriteTo(&b)
				return b.Bytes(), err
			},
			"in pieces": func(r io.Reader) ([]byte, error) {
				var b bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, smallRead+1))
				return b.Bytes(), err
			},
		} {
			r := open()
			got, err := read(r)
			if err != nil || string(got) != plain {
				t.Errorf("%s: %d octets, %v; want %d", name, len(got), err, len(plain))
			}
			if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
				t.Errorf("%s: after the end: %d, %v", name, n, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := r.Read(make([]byte, 10)); !errors.Is(err, maildrop.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	}
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("a message of %d octets is missing", len(w))
		}
	}
}

// A read that fails is never a clean end; the message is not removed in that
// session, and is given out again when the disk is well.
func TestReadErrors(t *testing.T) {
	for _, size := range []int{100, 5 * chunk} {
		for _, own := range []bool{true, false} {
			for at := 1; ; at++ {
				c := newClock()
				f := memfs.New(memfs.Options{Clock: c.Now})
				s := storeOn(t, f, c.Now)
				text := strings.Repeat("0123456\r\n", size/9)
				if own {
					deliver(t, s, text)
				} else {
					dropFile(t, f, "new/1.host", strings.ReplaceAll(text, "\r", ""))
				}
				c.add(time.Hour)
				equal(t, texts(t, s), []string{text})
				sn := openView(t, s, "")
				reads := 0
				f.Inject(func(op memfs.Op) *memfs.Fault {
					if op.Kind != memfs.Read && op.Kind != memfs.Open {
						return nil
					}
					if reads++; reads != at {
						return nil
					}
					return &memfs.Fault{Err: syscall.EIO, Octets: 7}
				})
				got, err := readAll(sn, 1)
				f.Inject(nil)
				if reads < at {
					sn.Close()
					break
				}
				if !errors.Is(err, syscall.EIO) || len(got) >= len(text) {
					t.Fatalf("read error %d, own %t: %d octets, %v", at, own, len(got), err)
				}
				if outcomes, err := sn.Remove(context.Background(), []int{1}); at > 1 && (err == nil || outcomes[0] != maildrop.Kept) {
					t.Errorf("it was removed: %v, %v", outcomes, err)
				}
				sn.Close()
				if at > 1 {
					equal(t, texts(t, s), []string{text})
				}
			}
		}
	}
}

// A short read is not an end.
func TestShortReads(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	long := strings.Repeat("line\r\n", 2*chunk/6)
	deliver(t, s, "short")
	deliver(t, s, long)
	dropFile(t, f, "new/1.host", strings.ReplaceAll(long, "\r", ""))
	c.add(time.Hour)
	f.Inject(func(op memfs.Op) *memfs.Fault {
		if op.Kind == memfs.Read {
			return &memfs.Fault{Octets: max(op.Size/3, 1)}
		}
		return nil
	})
	equal(t, texts(t, s), []string{long, "short\r\n", long})
}

// A cancelled context ends a stream.
func TestStreamCancelled(t *testing.T) {
	c := newClock()
	s := storeOn(t, memfs.New(memfs.Options{Clock: c.Now}), c.Now)
	deliver(t, s, strings.Repeat("x", 5*chunk))
	sn := openView(t, s, "")
	defer sn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := sn.Message(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, chunk); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if sn.(*snapshot).drop.isDoubtful(sn.Info(1).UID) {
		t.Error("a cancelled stream made the message doubtful")
	}
}

// What views removed of messages that another program took is forgotten at a
// compaction, but not by an empty maildrop.
func TestPrune(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	ctx := context.Background()
	if err := s.AddView(ctx, "u", "v", time.Time{}); err != nil {
		t.Fatal(err)
	}
	dropFile(t, f, "new/1.a", "one")
	dropFile(t, f, "new/2.b", "two")
	c.add(time.Hour)
	sn := openView(t, s, "v")
	if _, err := sn.Remove(ctx, []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	sn.Close()
	removed := func() int { return len(s.drops["u"].dec.views["v"].removed) }
	sweep := func() {
		t.Helper()
		c.add(time.Hour)
		if err := s.Sweep(ctx, nil); err != nil {
			t.Fatal(err)
		}
		s.drops["u"].prune()
	}
	if err := f.Remove(root + "new/1.a"); err != nil {
		t.Fatal(err)
	}
	sweep()
	if removed() != 1 {
		t.Errorf("%d removals are remembered, want that of the message that is there", removed())
	}
	if err := f.Remove(root + "new/2.b"); err != nil {
		t.Fatal(err)
	}
	sweep()
	if removed() != 1 {
		t.Errorf("an empty maildrop forgot: %d", removed())
	}
}
