// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"restante.example/collect"
)

// place is where a record was about to be appended, and what it is. Its text
// is the name of a message in the journal.
type place struct {
	offset, length int64
	sum            string
	begin          []byte
}

func (p place) String() string {
	return fmt.Sprintf("%d %d %s %s", p.offset, p.length, p.sum, base64.StdEncoding.EncodeToString(p.begin))
}

func parsePlace(name string) (p place, err error) {
	var begin string
	if _, err := fmt.Sscanf(name, "%d %d %s %s", &p.offset, &p.length, &p.sum, &begin); err != nil {
		return p, err
	}
	p.begin, err = base64.StdEncoding.DecodeString(begin)
	if err == nil && (p.offset < 0 || p.length < int64(len(p.begin)) || len(p.begin) == 0) {
		err = errors.New("not a place in an mbox file")
	}
	return p, err
}

// Recover implements collect.Destination.
func (d *mbox) Recover(ctx context.Context, account string, pending []*collect.Pending) error {
	if err := cleanDots(d.path); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if len(pending) == 0 {
		return nil
	}
	places := make(map[*collect.Pending]place, len(pending))
	for _, p := range pending {
		where, err := parsePlace(p.Name)
		if err != nil {
			return fmt.Errorf("journal: %q: %w", p.Name, err)
		}
		places[p] = where
	}
	// In the order of the file: a torn one is cut before the next is judged. The
	// caller pairs answers with entries by their order, so his stays as it is.
	pending = slices.Clone(pending)
	slices.SortFunc(pending, func(a, b *collect.Pending) int { return cmp.Compare(places[a].offset, places[b].offset) })
	defer d.release(0)
	if err := d.open(ctx, os.O_RDWR); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	// What is found must not only be in memory.
	if err := d.file.Sync(); err != nil {
		return err
	}
	behind := int64(-1)
	for _, p := range pending {
		where := places[p]
		if where.offset == behind {
			behind += where.length
			continue
		}
		filed, err := d.judge(where)
		if err != nil {
			return err
		}
		p.Filed = filed
		if info, err := d.file.Stat(); err != nil {
			return err
		} else if !filed && info.Size() == where.offset {
			// The file ends where this one should begin, so those that were to
			// follow are not there, and need no search through all of it.
			behind = where.offset + where.length
		}
	}
	return nil
}

// judge looks whether a record is in the file, where it should be or, when
// another program has rewritten the file, elsewhere. It cuts off a torn tail
// that is the beginning of this very record.
func (d *mbox) judge(p place) (bool, error) {
	ok, err := d.isAt(p, p.offset)
	if ok || err != nil {
		return ok, err
	}
	torn, err := d.tornAt(p)
	if err != nil {
		return false, err
	}
	if torn {
		return false, errors.Join(d.file.Truncate(p.offset), d.file.Sync())
	}
	return d.elsewhere(p)
}

func (d *mbox) isAt(p place, offset int64) (bool, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(d.file, offset, p.length))
	return err == nil && n == p.length && hex.EncodeToString(sum.Sum(nil)) == p.sum, err
}

// tornAt reports whether the end of the file is a part of the record: its
// beginning and, as far as that is more than the journal knows, no other
// message behind it. A power cut may also leave zeros in the place of octets.
func (d *mbox) tornAt(p place) (bool, error) {
	info, err := d.file.Stat()
	if err != nil || info.Size() <= p.offset || info.Size() >= p.offset+p.length {
		return false, err
	}
	tail := io.NewSectionReader(d.file, p.offset, info.Size()-p.offset)
	begin := make([]byte, min(tail.Size(), int64(len(p.begin))))
	if _, err := io.ReadFull(tail, begin); err != nil {
		return false, err
	}
	ours := len(bytes.TrimRight(begin, "\x00"))
	if !bytes.Equal(begin[:ours], p.begin[:ours]) {
		return false, nil
	}
	if ours < len(begin) {
		return d.onlyZeros(tail)
	}
	// Lines that begin with "From " are quoted in ours.
	found, err := search(tail, []byte("\nFrom "))
	return found < 0, err
}

func (d *mbox) onlyZeros(r io.Reader) (bool, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if len(bytes.TrimLeft(buf[:n], "\x00")) > 0 {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// elsewhere looks for the record in the whole file.
func (d *mbox) elsewhere(p place) (bool, error) {
	info, err := d.file.Stat()
	if err != nil {
		return false, err
	}
	for from := int64(0); ; {
		i, err := search(io.NewSectionReader(d.file, from, info.Size()-from), p.begin)
		if i < 0 || err != nil {
			return false, err
		}
		ok, err := d.isAt(p, from+i)
		if ok || err != nil {
			return ok, err
		}
		from += i + 1
	}
}

// search returns where what begins in r, or -1.
func search(r io.Reader, what []byte) (int64, error) {
	buf := make([]byte, 0, 64<<10)
	for base := int64(0); ; {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if i := bytes.Index(buf, what); i >= 0 {
			return base + int64(i), nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		keep := len(what) - 1
		base += int64(len(buf) - keep)
		buf = buf[:copy(buf, buf[len(buf)-keep:])]
	}
}

// parseOwner reads what stands in a dotlock; others write less, or nothing.
func parseOwner(text string) (pid int, host, token string) {
	_, _ = fmt.Sscanf(strings.TrimSpace(text), "%d %s %s", &pid, &host, &token)
	return pid, host, token
}
