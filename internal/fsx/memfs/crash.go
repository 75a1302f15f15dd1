// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package memfs

import (
	"maps"
	"math/rand/v2"
	"slices"

	"restante.example/internal/fsx"
)

// Loss is what becomes at a crash of that which was not flushed.
type Loss struct {
	mode lossMode
	seed uint64
}

type lossMode uint8

const (
	loseAll lossMode = iota
	keepAll
	torn
)

// LoseAll: only what was flushed is left. This is the strictest disk.
func LoseAll() Loss { return Loss{} }

// KeepAll: the process was killed and the machine lives on.
func KeepAll() Loss { return Loss{mode: keepAll} }

// Torn: of what was not flushed, some is left and some is not, in any order,
// writes cut in the middle and holes filled with zeros.
func Torn(seed uint64) Loss { return Loss{mode: torn, seed: seed} }

// Crash returns the file system as it is found after a crash now, from its
// root. The old one goes on and shares nothing with it.
func (f *FS) Crash(loss Loss) *FS {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &crash{loss: loss, rand: rand.New(rand.NewPCG(loss.seed, 1)), done: map[*node]*node{}, units: map[unit]bool{}}
	fresh := &disk{opt: d.opt, inodes: d.inodes}
	fresh.root = c.survivor(d.root)
	for _, n := range c.done {
		fresh.used += int64(len(n.data))
	}
	return &FS{disk: fresh, node: fresh.root}
}

type crash struct {
	loss  Loss
	rand  *rand.Rand
	done  map[*node]*node
	units map[unit]bool
}

// unit is a set of changes of one directory that come together or not at all.
type unit struct {
	dir *node
	n   int
}

// survivor returns the copy of a node that a crash leaves.
func (c *crash) survivor(n *node) *node {
	if s := c.done[n]; s != nil {
		return s
	}
	s := &node{inode: n.inode, typ: n.typ, mtime: n.mtime, ctime: n.ctime}
	c.done[n] = s
	if n.typ != fsx.TypeDir {
		s.data = c.octets(n)
		s.durable = append([]byte(nil), s.data...)
		return s
	}
	entries := make(map[string]*node, len(n.entries))
	for name, e := range n.durableEntries {
		entries[name] = e
	}
	// Half of the disks write names down in order and lose only the last ones.
	ordered := c.loss.mode == torn && c.rand.IntN(2) == 0
	cut := len(n.changes)
	if ordered {
		cut = c.rand.IntN(len(n.changes) + 1)
	}
	for i, ch := range n.changes {
		u := unit{n, ch.unit}
		keep, known := c.units[u]
		if !known {
			switch {
			case c.loss.mode == loseAll:
			case c.loss.mode == keepAll:
				keep = true
			case ordered:
				keep = i < cut
			default:
				keep = c.rand.IntN(2) == 0
			}
			c.units[u] = keep
		}
		if keep {
			apply(entries, ch)
		}
	}
	s.entries, s.durableEntries = make(map[string]*node, len(entries)), make(map[string]*node, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		child := c.survivor(entries[name])
		s.entries[name], s.durableEntries[name] = child, child
	}
	return s
}

// octets returns what is left of the octets of a file.
func (c *crash) octets(n *node) []byte {
	switch c.loss.mode {
	case loseAll:
		return append([]byte(nil), n.durable...)
	case keepAll:
		return append([]byte(nil), n.data...)
	}
	data := append([]byte(nil), n.durable...)
	for _, w := range n.writes {
		switch c.rand.IntN(4) {
		case 0: // lost
		case 1: // whole
			data = put(data, w)
		case 2: // the first part
			if w.data != nil {
				w.data = w.data[:c.rand.IntN(len(w.data)+1)]
			}
			data = put(data, w)
		case 3: // some sectors; the size is right and the rest is zeros
			if w.data == nil {
				data = put(data, w)
				break
			}
			if end := w.off + len(w.data); end > len(data) {
				data = append(data, make([]byte, end-len(data))...)
			}
			const sector = 64
			for i := 0; i < len(w.data); i += sector {
				if c.rand.IntN(2) == 0 {
					data = put(data, write{w.off + i, w.data[i:min(i+sector, len(w.data))]})
				}
			}
		}
	}
	return data
}
