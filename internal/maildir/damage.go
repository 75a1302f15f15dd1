// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import "restante.example/internal/fsx"

// doubt is why a message is not given out as it stands.
type doubt uint8

const (
	// isDamaged: the file is not what was stored. It is neither sent to its end
	// nor removed while it has this identity and time.
	isDamaged doubt = iota + 1
	// isSuspect: reading it failed. It is read through before it is given out.
	isSuspect
	// hasChanged: another program put other octets in its place; they are
	// learnt before the next session.
	hasChanged
)

// damage is what is remembered of a message that could not be given out.
type damage struct {
	why doubt
	// id and mtime are of the file as it was then: another one is another try.
	id    identity
	mtime int64
}

// noteDamage remembers that a message is in doubt; info is of its file now.
func (d *drop) noteDamage(e *entry, why doubt, info fsx.Info) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.damaged == nil {
		d.damaged = make(map[string]damage)
	}
	dm := damage{why, identity{info.Inode, info.Size}, info.ModTime}
	if d.damaged[e.uid] == dm {
		return
	}
	d.damaged[e.uid] = dm
	d.learnt++
	if why == isDamaged {
		d.store.counts.damaged.Add(1)
		d.store.log.Error("a message is damaged: it is kept and not handed out; restore its file from a backup",
			"maildrop", d.id, "file", d.place.Maildir+"/"+e.path(), "uid", e.uid,
			"octets", info.Size, "announced", e.size)
	}
}

// heal forgets the damage of a message.
func (d *drop) heal(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.damaged) > 0 {
		delete(d.damaged, e.uid)
	}
}

// damageOf returns what is remembered of a message; why is 0 when all is well.
func (d *drop) damageOf(uid string) damage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.damaged[uid]
}

func (d *drop) isDoubtful(uid string) bool { return d.damageOf(uid).why != 0 }

// doubtful returns the UIDs of all messages in doubt.
func (d *drop) doubtful() map[string]damage {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.damaged) == 0 {
		return nil
	}
	out := make(map[string]damage, len(d.damaged))
	for uid, dm := range d.damaged {
		out[uid] = dm
	}
	return out
}
