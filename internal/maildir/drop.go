// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"time"

	"restante.example/internal/fsx"
	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// drop is one maildrop in memory.
type drop struct {
	store *Store
	id    maildrop.ID

	// lock is held by whoever looks at or changes the files; it is a channel so
	// that waiting for it ends with a context. The fields below belong to it.
	lock    chan struct{}
	loaded  bool
	dead    bool // no longer in the store: ask for it again
	place   Place
	dec     *decisions
	jr      *journal.Journal
	broken  error // why nothing can be decided, for people
	stamps  [2]stamp
	stale   bool
	scanned time.Time
	pending map[string]struct{}
	refused []entry // of them, those that are still to be taken away
	// unlinked holds those of the going messages whose files this process has
	// removed: one that is there again was put back by somebody.
	unlinked map[string]struct{}
	// facts is what is known from the index, or from a first look that was broken off.
	facts   map[string]fact
	cleaned time.Time
	// heldMade: the holding area is there; heldCleaned is when it was looked through.
	heldMade    bool
	heldCleaned time.Time
	trace       trace
	// shown is what the views showed last.
	shown map[maildrop.View]shown
	// unsettled: it is not known whether the journal holds the last decision. The
	// next process does what it says, so nobody must be shown anything else.
	unsettled bool
	// reserved is what deliveries on their way have been granted.
	reserved struct {
		messages int
		octets   int64
	}

	// flush is shared by deliveries that want new flushed.
	flush fsx.Group

	// mu guards what follows and is never held during I/O.
	mu   sync.Mutex
	made bool // the directories are there, durably
	// temps are the files in tmp that this process is still writing, which are not
	// old, whatever the clock says.
	temps   map[string]struct{}
	list    *list
	open    map[maildrop.View]*snapshot
	damaged map[string]damage
	learnt  int // facts that the index does not have

	// handles are the directories, open for reading while sessions last; they
	// are used under the read lock and closed under the other.
	handleMu sync.RWMutex
	handles  *dirs

	// refs and the place in the list of the least recently used are the store's.
	refs       int
	cost       int
	prev, next *drop
}

// take locks the files of the maildrop.
func (d *drop) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *drop) give() { <-d.lock }

// now is the time for records, in seconds since 1970.
func (d *drop) now() int64 { return d.store.opt.Clock().Unix() }

// setList changes the list, under the lock.
func (d *drop) setList(l *list) {
	d.mu.Lock()
	d.list = l
	d.mu.Unlock()
}

// locate asks where the maildrop is, under the lock.
func (d *drop) locate(ctx context.Context) error {
	if d.place.Mail != nil {
		return nil
	}
	place, err := d.store.opt.Locate(ctx, d.id)
	if err != nil {
		return err
	}
	place.Maildir, place.StateDir = path.Clean(place.Maildir), path.Clean(place.StateDir)
	d.place = place
	return nil
}

func (d *drop) journalName() string { return path.Join(d.place.StateDir, "restante.journal") }
func (d *drop) indexName() string   { return path.Join(d.place.StateDir, "restante.index") }

// load reads journal, index and directories, under the lock, and finishes what
// a crash left undone.
func (d *drop) load(ctx context.Context) error {
	if d.loaded {
		return nil
	}
	if err := d.locate(ctx); err != nil {
		return err
	}
	if err := d.loadJournal(); err != nil {
		return err
	}
	d.store.raiseToken(d.dec.token)
	if d.facts == nil {
		d.facts = d.loadIndex()
	}
	d.stale, d.unlinked = true, nil
	if err := d.scan(ctx); err != nil {
		d.setList(nil)
		return err
	}
	d.loaded = true
	d.cleanTemp()
	d.finish(ctx)
	return nil
}

// loadJournal reads the decisions. A journal that is damaged is not written
// to; the maildrop is served on, and nothing is removed by it.
func (d *drop) loadJournal() error {
	dec := newDecisions(d.id)
	jr, err := journal.Open(d.place.State, d.journalName(), dec.apply)
	if jr == nil {
		return err
	}
	d.dec, d.jr, d.broken = dec, jr, nil
	jr.NoFlush = d.store.opt.InsecureNoFlush
	if err != nil {
		d.broken = fmt.Errorf("%w; mail is served and taken in, but nothing is removed: "+
			"restore %s from a backup, or move it away to forget its decisions (messages that some devices have removed may then come again)",
			err, d.journalName())
		d.dec.distrust()
		d.store.counts.damagedJournals.Add(1)
		d.store.log.Error("the journal of a maildrop cannot be used", "maildrop", d.id, "err", d.broken)
		return nil
	}
	if jr.Torn() {
		d.store.log.Info("the end of a journal was torn by a crash and is cut", "maildrop", d.id, "journal", d.journalName())
	}
	return nil
}

// record writes decisions down, durably. When it fails, the decisions were not
// made, unless the error is errUnknown. Those that state already holds are
// written again in full.
func (d *drop) record(records ...journal.Record) error {
	if d.broken != nil {
		return d.broken
	}
	if err := d.mend(); err != nil {
		return err
	}
	if !d.jr.Exists() {
		records = append([]journal.Record{d.dec.header()}, records...)
	}
	err := d.jr.Append(records...)
	d.store.counts.wrote(err)
	if err == nil || d.jr.Fenced() == nil {
		return err
	}
	// Whether the records are on the disk cannot be known, unless a journal
	// without them takes the place of this one.
	if e := d.jr.Rewrite(d.dec.records()); e != nil {
		d.unsettled = true
		return fmt.Errorf("%w: %w; then %w", errUnknown, err, e)
	}
	return err
}

// errUnknown: whether a decision is on the disk cannot be told.
var errUnknown = errors.New("it is not known whether the decision was written")

// mend lifts the fence of a journal by writing it anew.
func (d *drop) mend() error {
	if d.jr.Fenced() == nil {
		return nil
	}
	err := d.jr.Rewrite(d.dec.records())
	d.store.counts.wrote(err)
	return err
}

// settle makes sure that the next process shows what is shown now. Where the
// journal cannot be written, what it says counts.
func (d *drop) settle() error {
	if !d.unsettled {
		return nil
	}
	if err := d.mend(); err != nil {
		d.mu.Lock()
		inUse := len(d.open) > 0
		d.mu.Unlock()
		if inUse {
			return err // others hold on to what was decided
		}
		d.loaded = false
	}
	d.unsettled = false
	return nil
}

// finish removes the files of messages that no view holds and that are still
// there, flushes the directories and writes down that this is done. What
// cannot be finished now is tried again later; until then it stays hidden.
func (d *drop) finish(ctx context.Context) {
	if d.broken != nil {
		return
	}
	if err := d.carry(ctx, true); err != nil {
		d.store.log.Warn("messages are not back yet; tried again later", "maildrop", d.id, "err", err)
	}
	if len(d.dec.going) == 0 {
		return
	}
	if err := d.removeGoing(ctx); err != nil {
		d.store.log.Warn("removed messages are still on the disk; tried again later", "maildrop", d.id, "err", err)
		return
	}
	if err := d.syncDirs(); err != nil {
		d.store.log.Warn("a directory cannot be flushed; tried again later", "maildrop", d.id, "err", err)
		return
	}
	d.dec.done()
	d.unlinked = nil
	err := d.mend()
	if err == nil && d.jr.Exists() {
		err = d.jr.Note(journal.Record{Type: recDone})
	}
	if err != nil {
		d.store.log.Warn("the journal cannot be written; tried again later", "maildrop", d.id, "err", err)
	}
}

// removeGoing removes the files of going messages.
func (d *drop) removeGoing(ctx context.Context) error {
	if err := d.holdGoing(ctx); err != nil {
		return err
	}
	for _, dir := range []string{"new", "cur"} {
		names, err := d.place.Mail.ReadDir(d.place.Maildir + "/" + dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		var failed error
		d.change(func() {
			for _, n := range names {
				if n.Name[0] == '.' || n.Type == fsx.TypeDir || n.Type == fsx.TypeOther {
					continue
				}
				if failed = ctx.Err(); failed != nil {
					return
				}
				if failed = d.removeIfGoing(dir + "/" + n.Name); failed != nil {
					return
				}
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// holdGoing puts the files of going messages into the holding area that a crash
// has kept from it.
func (d *drop) holdGoing(ctx context.Context) error {
	some := false
	for uid := range d.dec.going {
		_, held := d.dec.held[uid]
		some = some || held
	}
	if !some {
		return nil
	}
	for _, dir := range []string{"new", "cur"} {
		names, err := d.place.Mail.ReadDir(d.place.Maildir + "/" + dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, n := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			uid, err := d.isGoing(dir + "/" + n.Name)
			if h, held := d.dec.held[uid]; err == nil && held {
				err = d.holdFile(dir+"/"+n.Name, h.name)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if !d.heldMade {
		return nil
	}
	return d.syncHeld()
}

// isGoing returns the UID of a file that is to go, or nothing.
func (d *drop) isGoing(name string) (string, error) {
	b := base(path.Base(name))
	for _, uid := range append([]string{uidOf(b)}, d.dec.byBase[b]...) {
		id, going := d.dec.going[uid]
		if _, already := d.unlinked[uid]; !going || already {
			continue
		}
		info, err := d.place.Mail.Stat(d.place.Maildir + "/" + name)
		if err != nil {
			return "", err
		}
		if info.Type == fsx.TypeFile && id == (identity{info.Inode, info.Size}) {
			return uid, nil
		}
	}
	return "", nil
}

func (d *drop) removeIfGoing(name string) error {
	uid, err := d.isGoing(name)
	if err == nil && uid != "" {
		err = d.place.Mail.Remove(d.place.Maildir + "/" + name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDirs flushes new and cur.
func (d *drop) syncDirs() error {
	if d.store.opt.InsecureNoFlush {
		return nil
	}
	for _, dir := range []string{"new", "cur"} {
		if err := d.place.Mail.SyncDir(d.place.Maildir + "/" + dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// loadIndex reads what was learnt. A bad index is dropped: all is learnt again.
func (d *drop) loadIndex() map[string]fact {
	data, err := fsx.ReadFile(d.place.State, d.indexName(), maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var facts map[string]fact
	if err == nil {
		facts, err = decodeIndex(data, d.id)
	}
	if err != nil {
		d.store.counts.lostIndexes.Add(1)
		d.store.log.Warn("the index of a maildrop is not used and will be made anew", "maildrop", d.id, "index", d.indexName(), "err", err)
		return nil
	}
	return facts
}

// saveIndex writes what was learnt, when there is something new.
func (d *drop) saveIndex() {
	d.mu.Lock()
	l, learnt := d.list, d.learnt
	d.mu.Unlock()
	if learnt == 0 || l == nil {
		return
	}
	doubtful := d.doubtful()
	data := encodeIndex(d.id, len(l.entries), func(yield func(string, fact)) {
		for i := range l.entries {
			e := &l.entries[i]
			dm, is := doubtful[e.uid]
			switch {
			case is && dm.why == isDamaged:
				yield(e.uid, fact{dm.id, dm.mtime, e.size, e.crc, e.bits, true})
			case !is && !e.has(isOwn) && e.has(hasCRC) && !e.has(isFresh):
				yield(e.uid, fact{e.id(), e.mtime, e.size, e.crc, e.bits, false})
			}
		}
	})
	err := fsx.MkdirAllSynced(d.place.State, d.place.StateDir)
	if err == nil {
		_, err = fsx.WriteFileSynced(d.place.State, d.indexName(), data)
	}
	if err != nil {
		d.store.log.Warn("the index of a maildrop cannot be saved", "maildrop", d.id, "err", err)
	}
}

// staleTemp is the age from which a file in tmp is left over from a delivery
// that died.
const staleTemp = 36 * time.Hour

// cleanTemp removes old files from tmp, at most once an hour.
func (d *drop) cleanTemp() {
	now := d.store.opt.Clock()
	if !d.cleaned.IsZero() && now.Sub(d.cleaned) < time.Hour {
		return
	}
	d.cleaned = now
	names, err := d.place.Mail.ReadDir(d.place.Maildir + "/tmp")
	if err != nil {
		return // There is none, or it shows again where it matters.
	}
	for _, n := range names {
		d.mu.Lock()
		_, ours := d.temps[n.Name]
		d.mu.Unlock()
		if ours {
			continue
		}
		full := d.place.Maildir + "/tmp/" + n.Name
		info, err := d.place.Mail.Stat(full)
		if err != nil || info.Type != fsx.TypeFile || now.UnixNano()-info.ModTime < int64(staleTemp) {
			continue
		}
		if err := d.place.Mail.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.store.log.Warn("an old temporary file cannot be removed", "maildrop", d.id, "file", full, "err", err)
		}
	}
}
