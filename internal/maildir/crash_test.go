// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package maildir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/fsx/memfs"
	"restante.example/internal/maildir/journal"
	"restante.example/maildrop"
)

// office is a store with what it has promised so far. Where droptest knows the
// contract, this knows the files: other writers, twins, compaction, sweeps.
type office struct {
	t     *testing.T
	clock *clock
	disk  *memfs.FS
	store *Store
	wrong faults
	// must and may are the messages that each view has to show, and those that
	// it may show because their step has not been answered.
	must, may map[maildrop.View]map[string]bool
	uid       map[sight]string // of each message that was ever seen
	old       map[sight]bool   // by view and UID: it will not be used again there
	step      string
	// rules, when there are some, hold what is removed: each message that was
	// ever taken in is then in a view or in the holding area.
	rules *maildrop.Rules
	taken map[string]bool
	// silent views need not show what others remove.
	silent map[maildrop.View]bool
	// problem is the first broken promise.
	problem string
	crashes int
}

// sight is a message as one view shows it.
type sight struct {
	view maildrop.View
	what string
}

func newOffice(t *testing.T, wrong faults) *office {
	o := &office{t: t, clock: newClock(), wrong: wrong, uid: map[sight]string{}, old: map[sight]bool{}, taken: map[string]bool{}, silent: map[maildrop.View]bool{},
		must: map[maildrop.View]map[string]bool{"": {}}, may: map[maildrop.View]map[string]bool{"": {}}}
	o.disk = memfs.New(memfs.Options{Clock: o.clock.Now})
	o.start()
	return o
}

func (o *office) start() {
	o.store = o.on(o.disk)
	o.store.faults = o.wrong
}

func (o *office) on(disk *memfs.FS) *Store {
	if o.rules == nil {
		return storeOn(o.t, disk, o.clock.Now)
	}
	return keepingOn(o.t, disk, o.clock.Now, o.rules)
}

// crashing runs a step and crashes a copy of the disk at each of its operations.
func (o *office) crashing(step string, do func()) {
	o.step = step
	o.disk.Before(func(op memfs.Op) {
		if op.Kind.Changes() {
			o.crash(fmt.Sprintf("before %v %s %s", op.Kind, op.Name, op.To))
		}
	})
	do()
	o.disk.Before(nil)
	o.crash("at its end")
}

func (o *office) crash(where string) {
	losses := []memfs.Loss{memfs.LoseAll(), memfs.KeepAll()}
	for range 3 {
		o.crashes++
		losses = append(losses, memfs.Torn(uint64(o.crashes)))
	}
	for _, loss := range losses {
		disk := o.disk.Crash(loss)
		// Twice: what is done at the first start must not undo anything either.
		for range 2 {
			s := o.on(disk)
			if problem := o.look(s); problem != "" && o.problem == "" {
				o.problem = fmt.Sprintf("%s, crash %s, %+v: %s", o.step, where, loss, problem)
			}
			disk = disk.Crash(memfs.LoseAll())
		}
	}
}

// look says what is wrong with a store, or nothing.
func (o *office) look(s *Store) string {
	found := map[string]bool{}
	for _, view := range slices.Sorted(maps.Keys(o.must)) {
		sn, err := s.Open(context.Background(), "u", view)
		if err != nil {
			return fmt.Sprintf("view %q: %v", view, err)
		}
		defer sn.Close()
		seen := map[string]bool{}
		for n := 1; n <= sn.Len(); n++ {
			text, err := readAll(sn, n)
			uid := sn.Info(n).UID
			switch {
			case err != nil:
				return fmt.Sprintf("view %q: %s: %v", view, uid, err)
			case seen[text]:
				return fmt.Sprintf("view %q shows %q twice", view, text)
			case !o.known(view, text):
				return fmt.Sprintf("view %q shows %q", view, text)
			}
			for known, u := range o.uid {
				if known.what != text && u == uid {
					return fmt.Sprintf("the UID %s is of %q and was of %q", uid, text, known.what)
				}
			}
			if o.old[sight{view, uid}] {
				return fmt.Sprintf("view %q shows %q under the UID of before, %s", view, text, uid)
			}
			seen[text], found[text] = true, true
		}
		for text, must := range o.must[view] {
			if must && !seen[text] {
				return fmt.Sprintf("view %q does not show %q", view, text)
			}
		}
	}
	if o.rules == nil {
		return ""
	}
	views, err := s.Views(context.Background(), "u")
	if err != nil {
		return err.Error()
	}
	for _, view := range views {
		if o.must[view] == nil {
			for _, text := range textsIn(o.t, s, view) {
				found[text] = true
			}
		}
	}
	for _, text := range heldTexts(o.t, s) {
		if found[text] && !o.may[""][text] && len(o.must) == 1 {
			return fmt.Sprintf("%q is held and shown", text)
		}
		found[text] = true
	}
	for text := range o.taken {
		if !found[text] {
			return fmt.Sprintf("%q is lost", text)
		}
	}
	return ""
}

// known reports whether a view may show a message.
func (o *office) known(view maildrop.View, text string) bool {
	_, must := o.must[view][text]
	return must || o.may[view][text]
}

func (o *office) deliver(text string) {
	o.crashing("deliver "+text, func() {
		for v := range o.must {
			o.may[v][text+"\r\n"] = true
		}
		if err := tryDeliver(o.store, "u", text); err != nil {
			o.t.Fatal(err)
		}
		for v := range o.must {
			o.must[v][text+"\r\n"] = !o.silent[v]
		}
		o.taken[text+"\r\n"] = true
	})
}

// foreign is a delivery by another program, which is durable.
func (o *office) foreign(name, text string) {
	dropFile(o.t, o.disk, name, text+"\n")
	o.clock.add(time.Second)
	for v := range o.must {
		o.must[v][text+"\r\n"] = true
	}
}

func (o *office) session(view maildrop.View, remove ...int) {
	o.crashing(fmt.Sprintf("remove %v from view %q", remove, view), func() {
		sn := openView(o.t, o.store, view)
		defer sn.Close()
		delete(o.silent, view)
		var chosen []string
		for n := 1; n <= sn.Len(); n++ {
			text, err := readAll(sn, n)
			if err != nil {
				o.t.Fatal(err)
			}
			as := sight{view, text}
			if was := o.uid[as]; was != "" && was != sn.Info(n).UID {
				o.problem = fmt.Sprintf("%q had the UID %s and has %s", text, was, sn.Info(n).UID)
			}
			o.uid[as] = sn.Info(n).UID
			o.must[view][text] = true
			if slices.Contains(remove, n) {
				chosen = append(chosen, text)
			}
		}
		for _, text := range chosen {
			delete(o.must[view], text)
			o.may[view][text] = true
		}
		if outcomes, err := sn.Remove(context.Background(), remove); err != nil {
			o.t.Fatal(outcomes, err)
		}
		for _, text := range chosen {
			delete(o.may[view], text)
		}
	})
}

// again notes that a view will show a message under a new UID.
func (o *office) again(view maildrop.View, text string) {
	as := sight{view, text}
	if uid := o.uid[as]; uid != "" && !o.may[view][text] {
		o.old[sight{view, uid}] = true
	}
	delete(o.uid, as)
}

// reset lets a view show everything again that another one still holds; with
// "*" any other may.
func (o *office) reset(view, other maildrop.View) {
	o.crashing(fmt.Sprintf("reset view %q", view), func() {
		back := map[string]bool{}
		for v := range o.must {
			for text := range o.must[v] {
				if (other == v || other == "*") && !o.must[view][text] {
					back[text] = true
				}
			}
		}
		for text := range back {
			o.again(view, text)
			o.may[view][text] = true
		}
		if err := o.store.ResetView(context.Background(), "u", view, time.Time{}); err != nil {
			o.t.Fatal(err)
		}
		for text := range back {
			o.must[view][text] = !o.silent[view] && other != "*"
		}
	})
}

// day is everything that happens to a maildrop.
func (o *office) day() {
	o.deliver("one")
	o.deliver("two")
	o.foreign("new/100.foreign", "three")
	o.session("")
	o.crashing("add a view", func() {
		if err := o.store.AddView(context.Background(), "u", "v", time.Time{}); err != nil {
			o.t.Fatal(err)
		}
		o.must["v"], o.may["v"] = maps.Clone(o.must[""]), maps.Clone(o.may[""])
	})
	o.session("", 1, 3)
	o.foreign("cur/100.foreign:2,S", "a twin")
	o.session("v", 1)
	o.reset("v", "")
	o.session("v", 2)
	o.crashing("sweep", func() {
		o.clock.add(11 * time.Minute)
		if err := o.store.Sweep(context.Background(), nil); err != nil {
			o.t.Fatal(err)
		}
	})
	o.deliver("four")
	o.crashing("restart", func() {
		if err := o.store.Close(); err != nil {
			o.t.Fatal(err)
		}
		o.start()
	})
	o.session("v", 1, 2)
	o.session("", 1, 2)
	o.crashing("drop a view", func() {
		// Until it is answered the view may be there or not; what it alone held
		// is not looked for.
		delete(o.must, "v")
		for text := range o.must[""] {
			o.may[""][text] = true
		}
		if err := o.store.DropView(context.Background(), "u", "v"); err != nil {
			o.t.Fatal(err)
		}
	})
	o.session("", 1)
	o.deliver("five")
	o.crashing("sweep again", func() {
		if err := o.store.Sweep(context.Background(), nil); err != nil {
			o.t.Fatal(err)
		}
	})
	o.session("")
}

func TestCrashAtEveryOperation(t *testing.T) {
	o := newOffice(t, faults{})
	o.day()
	if o.problem != "" {
		t.Error(o.problem)
	}
	if o.crashes < 300 {
		t.Errorf("only %d crashes", o.crashes)
	}
}

// The test above finds stores that are wrong on purpose.
func TestCrashFindsWrongStores(t *testing.T) {
	for name, wrong := range map[string]faults{
		"the directory is not flushed":       {skipDirFlush: true},
		"the file is not flushed":            {skipFileFlush: true},
		"QUIT is answered before the record": {confirmUnsaved: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, wrong)
			o.deliver("one")
			o.store.ops.Wait()
			o.session("", 1)
			if o.problem == "" {
				t.Error("it was not noticed")
			} else {
				t.Log(o.problem)
			}
		})
	}
}

// The answer that comes before the message has its name is noticed too; the
// disk waits so long that it surely comes before.
func TestCrashFindsEarlyAnswer(t *testing.T) {
	o := newOffice(t, faults{answerEarly: true})
	gate := make(chan struct{})
	o.disk.Before(func(op memfs.Op) {
		if op.Kind == memfs.Sync {
			<-gate
		}
	})
	if err := tryDeliver(o.store, "u", "one"); err != nil {
		t.Fatal(err)
	}
	o.disk.Before(nil)
	o.must[""]["one\r\n"] = true
	o.crash("after the answer")
	close(gate)
	o.store.ops.Wait()
	if o.problem == "" {
		t.Error("it was not noticed")
	}
}

// A journal that is damaged in its middle stops removals, in clear words, and
// nothing else: mail comes in and goes out.
func TestDamagedJournal(t *testing.T) {
	for _, newer := range []bool{false, true} {
		c := newClock()
		f := memfs.New(memfs.Options{Clock: c.Now})
		s := storeOn(t, f, c.Now)
		for _, text := range []string{"one", "two", "three"} {
			deliver(t, s, text)
		}
		for range 2 {
			sn := openView(t, s, "")
			if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
				t.Fatal(err)
			}
			sn.Close()
		}
		if newer {
			d, err := s.acquire(context.Background(), "u")
			if err != nil {
				t.Fatal(err)
			}
			if err := d.record(journal.Record{Type: 100}); err != nil {
				t.Fatal(err)
			}
			d.give()
			s.release(d)
		} else {
			file, err := f.OpenFile("mail/u/restante.journal", 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.Write([]byte(strings.Repeat("\x00", 60))); err != nil {
				t.Fatal(err)
			}
		}
		s = storeOn(t, f, c.Now)
		equal(t, texts(t, s), []string{"three\r\n"})
		deliver(t, s, "four")
		sn := openView(t, s, "")
		outcomes, err := sn.Remove(context.Background(), []int{1})
		if err == nil || outcomes[0] != maildrop.Kept || !strings.Contains(err.Error(), "mail/u/restante.journal") {
			t.Errorf("removal with a damaged journal: %v, %v", outcomes, err)
		}
		sn.Close()
		if err := s.AddView(context.Background(), "u", "v", time.Time{}); err == nil {
			t.Error("a view was added to a damaged journal")
		}
		if _, err := s.Open(context.Background(), "u", "v"); err == nil || errors.Is(err, maildrop.ErrNoView) {
			t.Errorf("a view that may be in the damaged part: %v", err)
		}
		equal(t, texts(t, s), []string{"three\r\n", "four\r\n"})
		// The way out that the error names.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Remove("mail/u/restante.journal"); err != nil {
			t.Fatal(err)
		}
		s = storeOn(t, f, c.Now)
		sn = openView(t, s, "")
		if _, err := sn.Remove(context.Background(), []int{1}); err != nil {
			t.Error(err)
		}
		sn.Close()
		equal(t, texts(t, s), []string{"four\r\n"})
	}
}

// Records that a later version may pass over are kept through a compaction.
func TestUnknownRecordsAreKept(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	if err := s.AddView(context.Background(), "u", "v", time.Time{}); err != nil {
		t.Fatal(err)
	}
	d, err := s.acquire(context.Background(), "u")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.record(journal.Record{Type: 0x80 | 17, Data: []byte("an event")}); err != nil {
		t.Fatal(err)
	}
	d.give()
	s.release(d)
	s = storeOn(t, f, c.Now)
	d, err = s.acquire(context.Background(), "u")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.load(context.Background()); err != nil {
		t.Fatal(err)
	}
	records := d.dec.records()
	if last := records[len(records)-1]; last.Type != 0x80|17 || string(last.Data) != "an event" {
		t.Errorf("%+v", records)
	}
	d.give()
	s.release(d)
}

// What is not known of an answer is not called kept.
func TestUnknownOutcome(t *testing.T) {
	c := newClock()
	f := memfs.New(memfs.Options{Clock: c.Now})
	s := storeOn(t, f, c.Now)
	deliver(t, s, "one")
	deliver(t, s, "two")
	sn := openView(t, s, "")
	f.Inject(func(op memfs.Op) *memfs.Fault {
		if op.Kind == memfs.Sync || op.Kind == memfs.SyncDir {
			return &memfs.Fault{Err: syscall.EIO, Done: true}
		}
		return nil
	})
	outcomes, err := sn.Remove(context.Background(), []int{1})
	if err == nil || outcomes[0] != maildrop.Unknown {
		t.Errorf("%v, %v", outcomes, err)
	}
	sn.Close()
	f.Inject(nil)
	equal(t, texts(t, s), []string{"one\r\n", "two\r\n"})
}

// After a removal of which nobody knows whether it was decided, a session shows
// what the next process will show, on a disk that cannot be written too.
func TestUnknownOutcomeIsSettled(t *testing.T) {
	for _, test := range []struct {
		name string
		// fails reports whether an operation is the first that fails; every change
		// does behind it.
		fails  func(memfs.Op) bool
		first  bool     // it is the first removal ever
		mended []string // where the disk is well again
		stands []string // where it is not
	}{
		{"neither carried out nor taken back", func(op memfs.Op) bool { return op.Kind == memfs.Remove }, false,
			[]string{"one\r\n", "two\r\n"}, []string{"two\r\n"}},
		{"the name of the first journal is not flushed", func(op memfs.Op) bool { return op.Kind == memfs.SyncDir }, true,
			[]string{"one\r\n", "two\r\n"}, []string{"two\r\n"}},
		{"neither flushed nor cut off", func(op memfs.Op) bool { return op.Kind == memfs.Sync }, false,
			[]string{"one\r\n", "two\r\n"}, []string{"two\r\n"}},
		{"not written", func(op memfs.Op) bool { return op.Kind == memfs.Write }, false,
			[]string{"one\r\n", "two\r\n"}, []string{"one\r\n", "two\r\n"}},
	} {
		for _, well := range []bool{true, false} {
			c := newClock()
			f := memfs.New(memfs.Options{Clock: c.Now})
			s := storeOn(t, f, c.Now)
			deliver(t, s, "one")
			deliver(t, s, "two")
			if !test.first {
				deliver(t, s, "three")
				sn := openView(t, s, "")
				if _, err := sn.Remove(t.Context(), []int{3}); err != nil {
					t.Fatal(err)
				}
				sn.Close()
			}
			sn := openView(t, s, "")
			failing, renamed := false, false
			f.Inject(func(op memfs.Op) *memfs.Fault {
				renamed = renamed || op.Kind == memfs.Rename
				if failing = failing || test.fails(op) && (renamed || !test.first); failing && op.Kind.Changes() {
					return &memfs.Fault{Err: syscall.EROFS}
				}
				return nil
			})
			outcomes, err := sn.Remove(t.Context(), []int{1})
			if err == nil || outcomes[0] != maildrop.Unknown {
				t.Fatalf("%s: %v, %v", test.name, outcomes, err)
			}
			sn.Close()
			want := test.stands
			if well {
				f.Inject(nil)
				want = test.mended
			}
			for range 2 {
				equal(t, texts(t, s), want)
			}
			equal(t, texts(t, storeOn(t, f, c.Now)), want)
			f.Inject(nil)
			equal(t, texts(t, s), want)
			equal(t, texts(t, storeOn(t, f, c.Now)), want)
		}
	}
}
