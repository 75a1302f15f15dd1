// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"restante.example/pop3"
	"restante.example/pop3client"
)

// session is one conversation after sign-in.
type session struct {
	*run
	c *pop3client.Client
	// listed is what UIDL told; sizes makes rows of it, which most polls, having
	// found nothing new, never need.
	listed []listing
	rows   []*row
	noUID  bool
	// messages is how many there are as STAT says, -1 if it does not.
	messages int
	// digest stands for the listing, destinations and policy; see Marks.Settled.
	digest Hash
	// fresh is how many messages this session filed or recognised.
	fresh int
	// changed is set when an id turned out to name another message than the
	// journal's: the next session collects it.
	changed bool
}

// refused reports whether err is a refusal, after which the conversation goes on.
func refused(err error) bool {
	var refusal *pop3.Error
	return errors.As(err, &refusal)
}

// collect does the session's work, QUIT included. With again true another
// session makes sense.
func (s *session) collect(ctx context.Context) (again bool, err error) {
	// One round trip for what every poll asks.
	if err := s.c.Ahead(ctx, "CAPA", "STAT", "UIDL"); err != nil {
		return false, err
	}
	if err := s.capabilities(ctx, s.c); err != nil {
		return false, err
	}
	if err := s.look(ctx); err != nil {
		return false, err
	}
	marks, err := s.journal.Marks(ctx)
	if err != nil {
		return false, &fatalError{err}
	}
	if s.digest != (Hash{}) && s.digest == marks.Settled && (marks.Due.IsZero() || s.now().Before(marks.Due)) {
		s.report.Known = len(s.listed)
		s.report.Left = 0
		return false, s.leave(ctx)
	}
	if err := s.sizes(ctx); err != nil {
		return false, err
	}
	if err := s.recover(ctx); err != nil {
		return false, err
	}
	if err := s.nameByHeader(ctx); err != nil {
		return false, err
	}
	s.ledger.match(s.rows)
	if err := s.doubtIDs(ctx); err != nil {
		return false, err
	}
	s.plan()
	if s.a.DryRun {
		return false, s.leave(ctx)
	}
	cut := s.retrieve(ctx)
	s.count()
	if isCut(cut) && ctx.Err() == nil {
		if err := s.remember(ctx, Changes{}); err != nil {
			return false, &fatalError{err}
		}
		return true, cut
	}
	if cut != nil {
		return false, cut
	}
	return s.finish(ctx)
}

// listing is a row of UIDL.
type listing struct {
	number int
	uid    string
}

// look asks what there is. It leaves the digest zero where the answer cannot
// be trusted to tell messages apart.
func (s *session) look(ctx context.Context) error {
	messages, octets, err := s.c.Stat(ctx)
	if err != nil && !refused(err) {
		return err
	}
	s.messages = messages
	if err != nil {
		s.messages = -1
	}
	sum := sha256.New()
	ids := 0
	s.listed = make([]listing, 0, min(max(messages, 0), manyRows))
	var line []byte
	for r, err := range s.c.UIDL(ctx) {
		switch {
		case refused(err):
			s.noUID = true
		case err != nil:
			return err
		case r.Number > 0:
			s.listed = append(s.listed, listing{r.Number, r.UID})
			line = strconv.AppendInt(line[:0], int64(r.Number), 10)
			line = strconv.AppendInt(append(line, ' '), int64(len(r.UID)), 10)
			line = append(append(append(line, ':'), r.UID...), '\n')
			sum.Write(line)
			if ids += len(r.UID); ids > maxIDs {
				return &pop3client.LimitError{What: "list of ids", Limit: maxIDs}
			}
		}
		if err := s.tooMany(len(s.listed)); err != nil {
			return err
		}
	}
	s.report.Offered = len(s.listed)
	if s.noUID || len(s.listed) != s.messages {
		return nil
	}
	fmt.Fprintf(sum, "octets %d\n", octets)
	for _, t := range s.targets {
		fmt.Fprintf(sum, "destination %d:%s\n", len(t.id), t.id)
	}
	fmt.Fprintf(sum, "keep %v max %d %t\n", s.a.Keep, s.a.MaxSize, s.a.HeaderOnly)
	s.digest = Hash(sum.Sum(nil))
	return nil
}

// maxIDs is how many octets of ids a listing may have, one of which may be 8 KiB
// long: the longest that RFC 1939 allows for 900,000 messages. With more than that
// of messages that failed, a run begins no other session.
const maxIDs = 64 << 20

// manyRows is how many messages are believed in although STAT has told of fewer.
const manyRows = 200_000

// tooMany ends a listing without end before it takes all the memory.
func (s *session) tooMany(rows int) error {
	if limit := max(manyRows, 2*s.messages); rows > limit {
		return &pop3client.LimitError{What: "listing", Limit: int64(limit)}
	}
	return nil
}

// sizes asks for the announced sizes, and takes in messages that UIDL left out
// or named twice.
func (s *session) sizes(ctx context.Context) error {
	byNumber := make(map[int]*row, len(s.listed))
	block := make([]row, len(s.listed))
	s.rows = make([]*row, 0, len(s.listed))
	for i, l := range s.listed {
		if byNumber[l.number] == nil {
			w := &block[i]
			*w = row{number: l.number, uid: l.uid, announced: -1}
			byNumber[l.number] = w
			s.rows = append(s.rows, w)
		}
	}
	s.listed = nil
	for r, err := range s.c.List(ctx) {
		switch {
		case refused(err):
		case err != nil:
			return err
		case r.Number <= 0:
		case byNumber[r.Number] == nil:
			w := &row{number: r.Number, announced: r.Size}
			byNumber[r.Number] = w
			s.rows = append(s.rows, w)
			if err := s.tooMany(len(s.rows)); err != nil {
				return err
			}
		default:
			byNumber[r.Number].announced = r.Size
		}
	}
	// Numbers have no gaps, so what is in neither listing is there all the
	// same; a count beyond all sense is not believed. RFC 1939 section 5.
	if listed := len(s.rows); s.messages > listed && s.messages <= 2*listed+1000 {
		for n := 1; n <= s.messages; n++ {
			if byNumber[n] == nil {
				s.rows = append(s.rows, &row{number: n, announced: -1, unlisted: true})
			}
		}
	}
	slices.SortFunc(s.rows, func(a, b *row) int { return a.number - b.number })
	s.report.Offered = len(s.rows)
	seen := make(map[string]int, len(s.rows))
	for _, w := range s.rows {
		w.announced = max(w.announced, -1)
		if w.uid == "" {
			w.key.nth = w.number
			continue
		}
		w.key = rowKey{w.uid, seen[w.uid]}
		seen[w.uid]++
	}
	return nil
}

// recover resolves what an earlier run, or session, was about to file.
// mail-safety.md, Collecting 2.
func (s *session) recover(ctx context.Context) error {
	if s.ledger == nil {
		ledger, err := openLedger(ctx, s.journal)
		if err != nil {
			return &fatalError{err}
		}
		s.run.ledger = ledger
	}
	if s.a.DryRun {
		return nil
	}
	for _, t := range s.targets {
		entries := s.ledger.pending(t.id)
		if s.isDown(t) || t.asked && len(entries) == 0 {
			continue
		}
		t.asked = true
		list := make([]*Pending, len(entries))
		for i, e := range entries {
			list[i] = &Pending{Message: s.message(e), Name: e.filing(t.id).Name}
		}
		// A copy: answers are told apart by their places here.
		if err := t.Recover(ctx, s.a.ID, slices.Clone(list)); err != nil {
			s.strike(t, fmt.Errorf("%w: %w", ErrUnavailable, err))
			continue
		}
		for i, e := range entries {
			if list[i].Filed {
				s.report.Recovered++
				e.setFiling(Filing{Destination: t.id, Name: list[i].Name, Filed: true})
			} else {
				e.Filings = slices.DeleteFunc(slices.Clone(e.Filings), func(f Filing) bool { return f.Destination == t.id })
			}
		}
		if err := s.ledger.put(ctx, entries...); err != nil {
			return &fatalError{err}
		}
	}
	return nil
}

// message describes an entry to a destination.
func (r *run) message(e *Entry) Message {
	return Message{
		Account: r.a.ID, Key: e.Key, UID: e.UID, Size: e.Size, Content: e.Content, HeaderOnly: e.Partial, Time: e.Collected,
	}
}

// nameByHeader gives messages without an id one made from their headers, if
// there is anything in the journal to compare it with. Where the server has no
// TOP either, the content has to tell.
func (s *session) nameByHeader(ctx context.Context) error {
	var nameless []*row
	for _, w := range s.rows {
		if w.uid == "" {
			nameless = append(nameless, w)
		}
	}
	known := false
	for uid := range s.ledger.byUID {
		known = known || isHeaderUID(uid)
	}
	if len(nameless) == 0 || !known {
		return nil
	}
	return s.tops(ctx, nameless, func(w *row, seen header) {
		if seen.octets > 0 {
			w.uid = headerUID(seen.hash)
		}
	})
}

// samples is how many messages are looked at to learn whether ids have moved.
const samples = 4

// doubtIDs looks at the headers of some messages that are known by their ids,
// when others have vanished and new ones have come: there are servers that
// give the ids of one message to the next. If one is not what it was, all are
// looked at. mail-safety.md, Collecting 6.
func (s *session) doubtIDs(ctx context.Context) error {
	var known []*row
	fresh := false
	for _, w := range s.rows {
		if w.entry == nil {
			fresh = fresh || w.uid != ""
		} else if !w.entry.Gone && !isHeaderUID(w.uid) {
			known = append(known, w)
		}
	}
	if !fresh || len(known) == 0 || len(s.ledger.vanished) == 0 {
		return nil
	}
	moved := false
	check := func(w *row, seen header) {
		if seen.octets > 0 && seen.hash != w.entry.Header {
			moved = true
			s.ledger.unclaim(w)
		}
	}
	some := make([]*row, 0, samples)
	for i := range min(samples, len(known)) {
		some = append(some, known[i*(len(known)-1)/max(min(samples, len(known))-1, 1)])
	}
	if err := s.tops(ctx, slices.Compact(some), check); err != nil || !moved {
		return err
	}
	s.log.Warn("ids name other messages than before, looking at all", "account", s.a.ID)
	return s.tops(ctx, slices.DeleteFunc(known, func(w *row) bool { return w.entry == nil }), check)
}

// header is what TOP told of a message.
type header struct {
	hash   Hash
	octets int64
	named  bool // it has a Message-ID
}

// tops asks for headers and hands them to found. Refusals are passed over.
func (s *session) tops(ctx context.Context, rows []*row, found func(w *row, seen header)) error {
	if len(rows) == 0 {
		return nil
	}
	buf := make([]byte, 16<<10)
	take := func(w *row, m *pop3client.Message) error {
		id := newIdentity()
		if err := copyAll(id, m, buf); err != nil {
			return err
		}
		_, hash, octets := id.result()
		found(w, header{hash, octets, id.named})
		return nil
	}
	// One is asked for alone: a server without TOP may hang up on a row of
	// commands that it does not know. behaviours.md, Client 3.
	m, err := s.c.Top(ctx, rows[0].number, 0)
	if refused(err) {
		return nil
	}
	if err == nil {
		err = take(rows[0], m)
	}
	if err != nil {
		return err
	}
	byNumber := index(rows[1:])
	var numbers iter.Seq[int] = func(yield func(int) bool) {
		for _, w := range rows[1:] {
			if !yield(w.number) {
				return
			}
		}
	}
	for m, err := range s.c.TopAll(ctx, numbers, 0) {
		if refused(err) {
			continue
		}
		if err == nil {
			err = take(byNumber[m.Number], m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plan decides which rows have to be retrieved for whom.
func (s *session) plan() {
	s.report.Known, s.report.TooLarge, s.report.Would = 0, 0, 0
	var octets int64
	count := 0
	for _, w := range s.rows {
		large := s.a.MaxSize > 0 && w.announced > s.a.MaxSize
		// What a destination has whole is no other message for its header.
		w.header = large && s.a.HeaderOnly && (w.entry == nil || w.entry.Partial)
		w.upgrade = w.entry != nil && w.entry.Partial && !large
		if s.complete(w) {
			s.report.Known++
			continue
		}
		if large && !s.a.HeaderOnly {
			w.skipped = true
			s.report.TooLarge++
			continue
		}
		if s.failed(w) {
			continue
		}
		for _, t := range s.targets {
			if !s.isDown(t) && (w.entry == nil || w.upgrade || !w.entry.filedAt(t.id)) {
				w.need = append(w.need, t)
			}
		}
		if len(w.need) == 0 {
			continue
		}
		count++
		octets += w.octets()
		if s.a.DryRun {
			s.report.Would++
			s.tell(Event{Kind: EventWould, Number: w.number, UID: w.uid, Size: w.announced})
		}
	}
	s.tell(Event{Kind: EventListed, Messages: count, Octets: octets})
}

// wanted returns the rows to retrieve: those that broke a connection come last.
func (s *session) wanted(header bool) []*row {
	var first, last []*row
	for _, w := range s.rows {
		switch {
		case len(w.need) == 0 || w.header != header:
		case s.suspects[w.key] > 0 || w.uid != "" && slices.Contains(s.ledger.marks.Last, w.uid):
			last = append(last, w)
		default:
			first = append(first, w)
		}
	}
	return append(first, last...)
}

// count brings the report up to date.
func (s *session) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Left = 0
	for _, w := range s.rows {
		large := s.a.MaxSize > 0 && w.announced > s.a.MaxSize && !s.a.HeaderOnly
		switch {
		case s.complete(w):
			delete(s.problems, w.key) // it was there after all
		case !large && !w.absent:
			s.report.Left++
		}
	}
}

// leave ends a session in which nothing was retrieved and nothing deleted.
func (s *session) leave(ctx context.Context) error {
	if err := s.c.Quit(ctx); err != nil {
		s.log.Info("QUIT was not answered, which does not matter here", "account", s.a.ID, "error", err)
	}
	return nil
}
