// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"restante.example/maildrop"
	"restante.example/pop3server/pop3mem"
)

// aliases is a directory of a test: an address leads to maildrops.
type aliases struct {
	maildrop.Directory
	to  map[string][]maildrop.Recipient
	err error
}

func (a aliases) Recipient(_ context.Context, address string) ([]maildrop.Recipient, error) {
	if a.err != nil {
		return nil, a.err
	}
	if r, ok := a.to[address]; ok {
		return r, nil
	}
	return nil, maildrop.ErrNoUser
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, in *Intake, sender string, recipients ...string) *Transaction {
	t.Helper()
	tx, err := in.Begin(Envelope{Sender: sender})
	must(t, err)
	for _, r := range recipients {
		must(t, tx.AddRecipient(t.Context(), r))
	}
	return tx
}

// stored returns the messages of a maildrop as text.
func stored(office *pop3mem.Store, id maildrop.ID) []string {
	var list []string
	for _, m := range office.MessagesIn(id, maildrop.Classic) {
		list = append(list, string(m.Data))
	}
	return list
}

func wantStored(t *testing.T, office *pop3mem.Store, id maildrop.ID, want ...string) {
	t.Helper()
	if got := stored(office, id); strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
		t.Errorf("maildrop %s holds %q, want %q", id, got, want)
	}
}

func TestHeaderLinesOfFinalDelivery(t *testing.T) {
	office := pop3mem.New(nil)
	id := office.AddUser("ana@example.org", "")
	in := New(office, office, nil)
	for _, sender := range []string{"bob@example.net", "", `"a b"@example.net`} {
		results, err := begin(t, in, sender, "Ana+news@Example.org").Data(t.Context(), strings.NewReader("Subject: x\n\nhello"))
		must(t, err)
		if len(results) != 1 || results[0].Err != nil || results[0].Octets != 17 || results[0].Maildrops[0] != id {
			t.Errorf("results %+v", results)
		}
	}
	rest := "Delivered-To: Ana+news@Example.org\r\nSubject: x\r\n\r\nhello\r\n"
	wantStored(t, office, id, "Return-Path: <bob@example.net>\r\n"+rest, "Return-Path: <>\r\n"+rest,
		"Return-Path: <\"a b\"@example.net>\r\n"+rest)
}

func TestNothingIsInjectedIntoTheHeader(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	in := New(office, office, nil)
	for _, bad := range []string{"a\r\nBcc: b@c", "a\nb", "a\rb", "a\x00b"} {
		if _, err := in.Begin(Envelope{Sender: bad}); ClassOf(err) != BadAddress {
			t.Errorf("sender %q: %v", bad, err)
		}
		if err := begin(t, in, "").AddRecipient(t.Context(), bad); ClassOf(err) != BadAddress {
			t.Errorf("recipient %q: %v", bad, err)
		}
		crooked := aliases{to: map[string][]maildrop.Recipient{"x": {{Maildrop: "ana", Address: bad}}}}
		if err := begin(t, New(office, crooked, nil), "").AddRecipient(t.Context(), "x"); ClassOf(err) != BadAddress {
			t.Errorf("Delivered-To %q: %v", bad, err)
		}
	}
}

func TestCopies(t *testing.T) {
	office := pop3mem.New(nil)
	for _, id := range []maildrop.ID{"a", "b"} {
		office.AddMaildrop(id)
	}
	directory := aliases{to: map[string][]maildrop.Recipient{
		"a@x":    {{Maildrop: "a", Address: "a@x"}},
		"A@X":    {{Maildrop: "a", Address: "A@X"}},
		"info@x": {{Maildrop: "a", Address: "info@x"}, {Maildrop: "b", Address: "info@x"}, {Maildrop: "a", Address: "info@x"}},
	}}
	tx := begin(t, New(office, directory, nil), "", "a@x", "A@X", "a@x", "info@x")
	results, err := tx.Data(t.Context(), strings.NewReader(""))
	must(t, err)
	if len(results) != 4 {
		t.Fatalf("%d results for 4 recipients", len(results))
	}
	for _, r := range results {
		must(t, r.Err)
	}
	// Once for its own address in any letter case, once for the list.
	wantStored(t, office, "a", "Return-Path: <>\r\nDelivered-To: a@x\r\n", "Return-Path: <>\r\nDelivered-To: info@x\r\n")
	wantStored(t, office, "b", "Return-Path: <>\r\nDelivered-To: info@x\r\n")
}

func TestRecipientsRefused(t *testing.T) {
	fails := func(op pop3mem.Op) *pop3mem.Store {
		s := pop3mem.New(&pop3mem.Options{OnOp: func(o pop3mem.Op, _ maildrop.ID) error {
			if o == op {
				return errors.New("broken")
			}
			return nil
		}})
		s.AddUser("ana", "")
		must(t, s.SetLimits("ana", pop3mem.Limits{Quota: maildrop.Quota{Messages: 1, Octets: 1000}}))
		return s
	}
	full, heavy := fails(""), fails("")
	must(t, full.Put("ana", "x"))
	must(t, heavy.SetLimits("ana", pop3mem.Limits{Quota: maildrop.Quota{Octets: 999}}))
	for _, c := range []struct {
		name    string
		office  *pop3mem.Store
		address string
		want    Class
	}{
		{"unknown", fails(""), "bob", NoUser},
		{"empty", fails(""), "", BadAddress},
		{"directory down", fails(pop3mem.OpSignIn), "ana", CannotTell},
		{"as many as allowed are there", full, "ana", OverQuota},
		{"announced size is over the quota", heavy, "ana", OverQuota},
		{"usage cannot be told", fails(pop3mem.OpUsage), "ana", Temporary},
		{"fits exactly", fails(""), "ana", Delivered},
	} {
		var told []Class
		in := New(c.office, c.office, &Options{Observer: &Observer{Recipient: func(class Class, octets int64) {
			told = append(told, class)
			if octets != 0 {
				t.Errorf("%s: %d octets of a message that has not come", c.name, octets)
			}
		}}})
		tx, err := in.Begin(Envelope{Size: 1000})
		must(t, err)
		if err := tx.AddRecipient(t.Context(), c.address); ClassOf(err) != c.want {
			t.Errorf("%s: %v, want class %q", c.name, err, c.want)
		}
		if want := []Class{c.want}; c.want != Delivered && !slices.Equal(told, want) || c.want == Delivered && told != nil {
			t.Errorf("%s: the observer was told %v", c.name, told)
		}
		if want := map[bool]int{true: 1}[c.want == Delivered]; tx.Recipients() != want || len(tx.targets) != want {
			t.Errorf("%s: %d recipients and %d targets", c.name, tx.Recipients(), len(tx.targets))
		}
	}
}

func TestNoMaildropIsNotDelivered(t *testing.T) {
	nowhere := aliases{to: map[string][]maildrop.Recipient{"x": {}}}
	if err := begin(t, New(pop3mem.New(nil), nowhere, nil), "").AddRecipient(t.Context(), "x"); ClassOf(err) != CannotTell {
		t.Errorf("an address that leads nowhere was answered %v", err)
	}
}

func TestTooManyCopiesLeaveNoneBehind(t *testing.T) {
	office := pop3mem.New(nil)
	directory := aliases{to: map[string][]maildrop.Recipient{}}
	for _, id := range []maildrop.ID{"a", "b", "c"} {
		office.AddMaildrop(id)
		directory.to[string(id)] = []maildrop.Recipient{{Maildrop: id, Address: string(id)}}
		directory.to["all"] = append(directory.to["all"], maildrop.Recipient{Maildrop: id, Address: "all"})
	}
	tx := begin(t, New(office, directory, &Options{MaxTargets: 3}), "", "a")
	if err := tx.AddRecipient(t.Context(), "all"); ClassOf(err) != TooMany {
		t.Errorf("the fourth copy: %v", err)
	}
	must(t, tx.AddRecipient(t.Context(), "b"))
	must(t, tx.AddRecipient(t.Context(), "c"))
	results, err := tx.Data(t.Context(), strings.NewReader("x"))
	must(t, err)
	for i, r := range results {
		if id := maildrop.ID(r.Recipient); r.Err != nil || len(r.Maildrops) != 1 || r.Maildrops[0] != id {
			t.Errorf("result %d: %+v", i, r)
		}
		wantStored(t, office, maildrop.ID(r.Recipient), "Return-Path: <>\r\nDelivered-To: "+r.Recipient+"\r\nx\r\n")
	}
}

func TestSizeLimit(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	in := New(office, office, &Options{MaxSize: 100_000})
	if _, err := in.Begin(Envelope{Size: 100_001}); ClassOf(err) != TooLarge {
		t.Errorf("announced too large: %v", err)
	}
	for _, size := range []int{100_000, 100_001, 1_000_000} {
		text := strings.NewReader(strings.Repeat("x", size))
		results, err := begin(t, in, "", "ana").Data(t.Context(), text)
		must(t, err)
		want := Delivered
		if size > 100_000 {
			want = TooLarge
		}
		if got := ClassOf(results[0].Err); got != want {
			t.Errorf("%d octets: class %q, want %q", size, got, want)
		}
		if text.Len() > 0 && size == 100_000 {
			t.Error("a message that fits was not read to its end")
		}
	}
	if n := len(office.Messages("ana")); n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
}

// Over quota is for ever where that is wished, before the message and after it.
func TestOverQuotaRefused(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	must(t, office.SetLimits("ana", pop3mem.Limits{Quota: maildrop.Quota{Octets: 100}}))
	for refuse, want := range map[bool]Class{false: OverQuota, true: OverQuotaRefused} {
		in := New(office, office, &Options{RefuseOverQuota: refuse})
		results, err := begin(t, in, "", "ana").Data(t.Context(), strings.NewReader(strings.Repeat("x", 100)))
		must(t, err)
		if got := ClassOf(results[0].Err); got != want || got.Permanent() != refuse || !errors.Is(results[0].Err, maildrop.ErrQuota) {
			t.Errorf("refuse %v, after the message: %v, want %v", refuse, results[0].Err, want)
		}
		tx, err := in.Begin(Envelope{Size: 101})
		must(t, err)
		if err := tx.AddRecipient(t.Context(), "ana"); ClassOf(err) != want {
			t.Errorf("refuse %v, at the recipient: %v, want %v", refuse, err, want)
		}
	}
}

func TestStoreFailures(t *testing.T) {
	for _, c := range []struct {
		op   pop3mem.Op
		err  error
		want [2]Class // for ana and for bob
	}{
		{pop3mem.OpDeliver, maildrop.ErrNoSpace, [2]Class{NoSpace, NoSpace}},
		{pop3mem.OpDeliver, errors.New("broken"), [2]Class{Temporary, Temporary}},
		{pop3mem.OpWrite, fmt.Errorf("disk: %w", maildrop.ErrNoSpace), [2]Class{NoSpace, NoSpace}},
		{pop3mem.OpWrite, errors.New("broken"), [2]Class{Temporary, Temporary}},
		{pop3mem.OpStore, maildrop.ErrNoSpace, [2]Class{Delivered, NoSpace}},
		{pop3mem.OpStore, maildrop.ErrQuota, [2]Class{Delivered, OverQuota}},
		{pop3mem.OpStore, maildrop.ErrNoMaildrop, [2]Class{Delivered, Temporary}},
		{pop3mem.OpStore, errors.New("broken"), [2]Class{Delivered, Temporary}},
	} {
		office := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, id maildrop.ID) error {
			if op == c.op && id != "ana" {
				return c.err
			}
			return nil
		}})
		office.AddUser("ana", "")
		office.AddUser("bob", "")
		var told []maildrop.ID
		in := New(office, office, &Options{Delivered: func(id maildrop.ID) { told = append(told, id) }})
		results, err := begin(t, in, "s@x", "ana", "bob").Data(t.Context(), strings.NewReader("x"))
		must(t, err)
		for i, r := range results {
			if slices.Contains(told, r.Maildrops[0]) != (r.Err == nil) {
				t.Errorf("%s: %s was told %v, and Delivered %v", c.op, r.Recipient, r.Err, told)
			}
			if got := ClassOf(r.Err); got != c.want[i] {
				t.Errorf("%s fails with %v: %s is told %q, want %q", c.op, c.err, r.Recipient, got, c.want[i])
			}
			if r.Err != nil && !errors.Is(r.Err, c.err) {
				t.Errorf("%s: the log would not say why: %v", c.op, r.Err)
			}
			if n := len(office.Messages(r.Recipient)); (n == 1) != (r.Err == nil) {
				t.Errorf("%s: %s was told %v and holds %d messages", c.op, r.Recipient, r.Err, n)
			}
		}
	}
}

// TestAliasIsDeliveredWhenAllAre: a failure that passes wins over success and
// over a failure for ever, so that no copy is given up.
func TestAliasIsDeliveredWhenAllAre(t *testing.T) {
	office := pop3mem.New(&pop3mem.Options{OnOp: func(op pop3mem.Op, id maildrop.ID) error {
		if op == pop3mem.OpStore && id == "b" {
			return errors.New("broken")
		}
		return nil
	}})
	directory := aliases{to: map[string][]maildrop.Recipient{}}
	for _, id := range []maildrop.ID{"a", "b", "c"} {
		office.AddMaildrop(id)
		directory.to["all"] = append(directory.to["all"], maildrop.Recipient{Maildrop: id, Address: "all"})
	}
	in := New(office, directory, nil)
	results, err := begin(t, in, "", "all").Data(t.Context(), strings.NewReader("x"))
	must(t, err)
	if len(results) != 1 || ClassOf(results[0].Err) != Temporary || len(results[0].Maildrops) != 3 {
		t.Errorf("results %+v", results)
	}
	for _, pair := range [][2]Class{{TooLarge, NoSpace}, {NoSpace, TooLarge}, {OverQuotaRefused, NoSpace}} {
		err := in.worse(in.worse(nil, "a", &Error{Class: pair[0]}), "a", &Error{Class: pair[1]})
		if ClassOf(err) != NoSpace {
			t.Errorf("of %v the class %q decided", pair, ClassOf(err))
		}
	}
}

// cut is a client that goes away in the middle.
type cut struct{ io.Reader }

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestWhatIsNotWholeIsNotStored(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	in := New(office, office, nil)
	results, err := begin(t, in, "", "ana").Data(t.Context(), cut{strings.NewReader("half")})
	if results != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a message cut in the middle: %v, %v", results, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tx := begin(t, in, "", "ana")
	cancel()
	if results, err := tx.Data(ctx, strings.NewReader("x")); results != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled delivery: %v, %v", results, err)
	}
	if n := len(office.Messages("ana")); n != 0 {
		t.Errorf("%d messages are stored", n)
	}
}

func TestTransactionIsForOneMessage(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	in := New(office, office, nil)
	if _, err := begin(t, in, "").Data(t.Context(), strings.NewReader("x")); !errors.Is(err, ErrNoRecipients) {
		t.Errorf("without recipients: %v", err)
	}
	tx := begin(t, in, "", "ana")
	_, err := tx.Data(t.Context(), strings.NewReader("x"))
	must(t, err)
	if _, err := tx.Data(t.Context(), strings.NewReader("x")); !errors.Is(err, ErrDone) {
		t.Errorf("a second message: %v", err)
	}
}

// forgetful is a store whose Commit loses an answer.
type forgetful struct{ maildrop.Store }

type forgetfulDelivery struct{ maildrop.Delivery }

func (f forgetful) Deliver(ctx context.Context, env maildrop.Envelope, to []maildrop.Target) (maildrop.Delivery, error) {
	d, err := f.Store.Deliver(ctx, env, to)
	return forgetfulDelivery{d}, err
}

func (f forgetfulDelivery) Commit(ctx context.Context) []error { return f.Delivery.Commit(ctx)[1:] }

func TestNoAnswerIsNoPromise(t *testing.T) {
	office := pop3mem.New(nil)
	office.AddUser("ana", "")
	results, err := begin(t, New(forgetful{office}, office, nil), "", "ana").Data(t.Context(), strings.NewReader("x"))
	must(t, err)
	if ClassOf(results[0].Err) != Temporary {
		t.Errorf("result %+v", results[0])
	}
}

func TestClassOfOthers(t *testing.T) {
	if c := ClassOf(errors.New("x")); c != Temporary {
		t.Errorf("an error of others has the class %q", c)
	}
	for c := Delivered; c <= Temporary; c++ {
		if s := (&Error{Class: c}).Error(); !strings.Contains(s, c.String()) {
			t.Errorf("error of class %q reads %q", c, s)
		}
	}
}
