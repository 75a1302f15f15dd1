// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"restante.example/internal/fsx"
	"restante.example/maildrop"
)

// Where says where a message is.
type Where struct {
	// UID is the one that it has in all views that have no other for it.
	UID     string
	Arrived time.Time
	Size    int64
	// Waiting are the views that hold it, Removed those that have removed it.
	Waiting, Removed []maildrop.View
	// Held: no view holds it, and it is in the holding area.
	Held bool
	// MessageID is that of its header, where it was asked for.
	MessageID string
}

// Where lists all messages that a maildrop has, in the holding area too, in
// order of arrival. Their headers are read when ids is true.
func (s *Store) Where(ctx context.Context, id maildrop.ID, ids bool) (all []Where, err error) {
	err = s.with(ctx, id, func(d *drop) error {
		first := d.firstSince()
		views := slices.Sorted(maps.Keys(d.dec.views))
		for i := range d.list.entries {
			e := &d.list.entries[i]
			w := Where{UID: e.uid, Arrived: time.Unix(0, e.time), Size: e.size}
			for _, name := range views {
				v := d.dec.views[name]
				if v.holds(e, first) {
					w.Waiting = append(w.Waiting, name)
				} else if _, removed := v.removed[e.uid]; removed {
					w.Removed = append(w.Removed, name)
				}
			}
			if ids {
				w.MessageID = messageID(d.place.Mail, d.place.Maildir+"/"+e.path())
			}
			all = append(all, w)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		held, err := d.removed(maildrop.Selection{})
		if err != nil {
			return err
		}
		for _, r := range held {
			if !r.Held {
				continue
			}
			w := Where{UID: r.uid, Arrived: r.Arrived, Size: r.Size, Held: true}
			if ids {
				w.MessageID = messageID(d.place.State, d.heldDir()+"/"+d.dec.held[r.uid].name)
			}
			all = append(all, w)
		}
		slices.SortStableFunc(all, func(a, b Where) int { return a.Arrived.Compare(b.Arrived) })
		return nil
	})
	return all, err
}

// headerRead is how much of a file is searched for its Message-ID, in octets.
const headerRead = 32 << 10

// messageID reads the Message-ID of a file, without its brackets; empty when
// there is none, or the file cannot be read. Nothing else of it is looked at.
func messageID(f fsx.FS, name string) string {
	file, err := fsx.Open(f, name)
	if err != nil {
		return ""
	}
	defer file.Close()
	data := make([]byte, headerRead)
	n, err := io.ReadFull(file, data)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return ""
	}
	return messageIDOf(data[:n])
}

// messageIDOf finds a Message-ID in a header. RFC 5322 section 3.6.4; its line
// may be folded, section 2.2.3.
func messageIDOf(header []byte) string {
	const field = "message-id:"
	found := ""
	in := false
	for line := range bytes.Lines(header) {
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "":
			return tidyID(found)
		case text[0] == ' ' || text[0] == '\t':
			if in {
				found += strings.TrimSpace(text)
			}
		case in:
			return tidyID(found)
		case len(text) >= len(field) && strings.EqualFold(text[:len(field)], field):
			in = true
			found = strings.TrimSpace(text[len(field):])
		}
	}
	return tidyID(found)
}

func tidyID(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">")
}
