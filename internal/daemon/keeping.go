// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/internal/maildir"
	"restante.example/maildrop"
)

// Names of the operations on what was removed, and on what happened.
const (
	OpUndelete  = "undelete"
	OpMailTrace = "mail.trace"
)

// rulesOf says how long mail is kept.
func rulesOf(c *config.Config) *maildrop.Rules {
	r := &maildrop.Rules{
		KeepRemoved: time.Duration(c.KeepRemoved), Trace: time.Duration(c.KeepTrace),
		Age: time.Duration(c.Retention.Age), Messages: c.Retention.Messages, Octets: int64(c.Retention.Octets),
	}
	if r.Trace == 0 {
		r.Trace = -1
	}
	return r
}

// UndeleteArgs say which removed messages are to come back.
type UndeleteArgs struct {
	User  string    `json:"user"`
	Since time.Time `json:"since,omitzero"`
	// Device brings back for one device only; "main" is the user's own password.
	Device string `json:"device,omitempty"`
	UID    string `json:"uid,omitempty"`
	// DryRun only lists.
	DryRun bool `json:"dry_run,omitempty"`
}

// MainDevice is how the user's own password is called among the devices.
const MainDevice = "main"

// Undeleted is a message that was removed and is back, or can be.
type Undeleted struct {
	UID string `json:"uid"`
	// NewUID is the one that it has now; empty where it was only listed.
	NewUID string `json:"new_uid,omitempty"`
	// Device removed it; empty where a rule of retention did.
	Device  string    `json:"device,omitempty"`
	Removed time.Time `json:"removed"`
	Arrived time.Time `json:"arrived"`
	Octets  int64     `json:"octets"`
	// Everywhere is true where no device had it any more.
	Everywhere bool `json:"everywhere"`
}

// keepingOperations adds the operations on what was removed.
func (o *Office) keepingOperations(m control.Mux) {
	control.Handle(m, OpUndelete, o.undelete)
	control.Handle(m, OpMailTrace, o.mailTrace)
}

// deviceNames returns what the views of a user are called.
func (o *Office) deviceNames(ctx context.Context, user string) (map[maildrop.View]string, error) {
	devices, _, err := o.directory.ListDevices(ctx, user)
	if err != nil {
		return nil, err
	}
	names := map[maildrop.View]string{maildrop.Classic: MainDevice}
	for _, d := range devices {
		names[d.View] = d.Name
	}
	return names, nil
}

func (o *Office) undelete(ctx context.Context, a UndeleteArgs, _ io.Reader) ([]Undeleted, error) {
	u, err := o.directory.Get(ctx, a.User)
	if err != nil {
		return nil, refusal(err)
	}
	names, err := o.deviceNames(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	sel := maildrop.Selection{Since: a.Since, UID: a.UID}
	switch a.Device {
	case "":
	case MainDevice:
		classic := maildrop.Classic
		sel.View = &classic
	default:
		d, err := o.directory.GetDevice(ctx, u.Name, a.Device)
		if err != nil {
			return nil, deviceRefusal(err)
		}
		sel.View = &d.View
	}
	do := o.store.maildirs.Undelete
	if a.DryRun {
		do = o.store.maildirs.Removed
	}
	found, err := do(ctx, u.ID, sel)
	if errors.Is(err, maildrop.ErrNoView) {
		return nil, &control.Error{Code: CodeNoDevice, Text: "there is no such device"}
	}
	list := make([]Undeleted, 0, len(found))
	for _, r := range found {
		entry := Undeleted{UID: r.UID, NewUID: r.NewUID, Removed: r.At, Arrived: r.Arrived, Octets: r.Size, Everywhere: r.Held}
		if !r.Retained {
			entry.Device = cmp.Or(names[r.View], string(r.View))
		}
		list = append(list, entry)
	}
	if err == nil && !a.DryRun && len(list) > 0 {
		o.log.Info("messages were brought back", "user", u.Name, "messages", len(list))
	}
	return list, err
}

// MailTraceArgs say whose messages, and which.
type MailTraceArgs struct {
	User      string    `json:"user"`
	UID       string    `json:"uid,omitempty"`
	MessageID string    `json:"message_id,omitempty"`
	Since     time.Time `json:"since,omitzero"`
}

// MailTrace is what happened to one message, and where it is now.
type MailTrace struct {
	UID string `json:"uid"`
	// MessageID is missing where the file is gone, or was not asked for.
	MessageID string    `json:"message_id,omitempty"`
	Arrived   time.Time `json:"arrived,omitzero"`
	Octets    int64     `json:"octets,omitempty"`
	// Waiting are the devices that still have it, Held says that it can be
	// brought back; otherwise it is gone where Waiting is empty.
	Waiting []string    `json:"waiting"`
	Held    bool        `json:"held"`
	Events  []MailEvent `json:"events"`
}

// MailEvent is one thing that happened.
type MailEvent struct {
	At   time.Time          `json:"at"`
	Kind maildrop.EventKind `json:"kind"`
	// Device did it, from Address; Origin is where mail came from.
	Device  string `json:"device,omitempty"`
	Address string `json:"address,omitempty"`
	Origin  string `json:"origin,omitempty"`
	NewUID  string `json:"new_uid,omitempty"`
	// Final: no device had it any more.
	Final bool `json:"final,omitempty"`
}

func (o *Office) mailTrace(ctx context.Context, a MailTraceArgs, _ io.Reader) ([]MailTrace, error) {
	u, err := o.directory.Get(ctx, a.User)
	if err != nil {
		return nil, refusal(err)
	}
	names, err := o.deviceNames(ctx, u.Name)
	if err != nil {
		return nil, err
	}
	there, err := o.store.maildirs.Where(ctx, u.ID, a.MessageID != "")
	if err != nil {
		return nil, err
	}
	traces := make(map[string]*MailTrace)
	trace := func(uid string) *MailTrace {
		t := traces[uid]
		if t == nil {
			t = &MailTrace{UID: uid, Waiting: []string{}, Events: []MailEvent{}}
			traces[uid] = t
		}
		return t
	}
	wanted := func(w maildir.Where) bool {
		switch {
		case a.MessageID != "":
			return w.MessageID == a.MessageID
		case a.UID != "":
			return w.UID == a.UID
		}
		return !w.Arrived.Before(a.Since)
	}
	for _, w := range there {
		if wanted(w) {
			trace(w.UID)
		}
	}
	// The events of each message that is meant, from its beginning.
	events, err := o.eventsOf(ctx, u.ID, a, traces)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		t := trace(e.UID)
		device := ""
		if e.Kind == maildrop.EventRetrieved || e.Kind == maildrop.EventRemoved || e.Kind == maildrop.EventUndeleted && e.View != "" {
			device = cmp.Or(names[e.View], string(e.View))
		}
		t.Events = append(t.Events, MailEvent{e.At, e.Kind, device, e.Remote, e.Origin, e.NewUID, e.Final})
		if e.Kind == maildrop.EventArrived {
			t.Arrived, t.Octets = e.At, e.Size
		}
	}
	for _, w := range there {
		t := traces[w.UID]
		if t == nil {
			continue
		}
		t.Arrived, t.Octets, t.Held, t.MessageID = w.Arrived, w.Size, w.Held, w.MessageID
		for _, v := range w.Waiting {
			t.Waiting = append(t.Waiting, cmp.Or(names[v], string(v)))
		}
	}
	list := make([]MailTrace, 0, len(traces))
	for _, t := range traces {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b MailTrace) int { return cmp.Or(a.Arrived.Compare(b.Arrived), cmp.Compare(a.UID, b.UID)) })
	return list, nil
}

// eventsOf returns all events of the messages that are meant: those in traces,
// and by UID or time those that are no longer there.
func (o *Office) eventsOf(ctx context.Context, id maildrop.ID, a MailTraceArgs, traces map[string]*MailTrace) ([]maildrop.Event, error) {
	var all []maildrop.Event
	meant := make(map[string]bool)
	for uid := range traces {
		meant[uid] = true
	}
	for e, err := range o.store.maildirs.Trace(ctx, id, maildrop.EventFilter{UID: a.UID}) {
		if err != nil {
			return nil, fmt.Errorf("what happened cannot be read: %w", err)
		}
		all = append(all, e)
		if a.UID != "" || a.MessageID == "" && !e.At.Before(a.Since) {
			meant[e.UID] = true
		}
	}
	return slices.DeleteFunc(all, func(e maildrop.Event) bool { return !meant[e.UID] }), nil
}

// silence lets devices that have not been heard of for long hold no mail back.
// One that never signed in counts from when it was added; the user's own
// password from when the first device was.
func (o *Office) silence(ctx context.Context, after time.Duration) error {
	if after <= 0 {
		return nil
	}
	unlock, err := o.lockViews(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	users, err := o.directory.List(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, u := range users {
		devices, main, err := o.directory.ListDevices(ctx, u.Name)
		if err != nil && !errors.Is(err, maildrop.ErrNoUser) {
			failed = append(failed, err)
		}
		if len(devices) == 0 {
			continue
		}
		first := devices[0].Created
		for _, d := range devices {
			if d.Created.Before(first) {
				first = d.Created
			}
		}
		for _, d := range append(devices, directory.Device{View: maildrop.Classic, Name: MainDevice, Created: first, Last: main}) {
			if time.Since(later(d.Created, d.Last.At)) < after {
				continue
			}
			err := o.store.maildirs.SilenceView(ctx, u.ID, d.View)
			if err != nil && !errors.Is(err, maildrop.ErrNoView) && !errors.Is(err, maildrop.ErrLastView) && !errors.Is(err, maildrop.ErrInUse) {
				failed = append(failed, fmt.Errorf("device %s of %s: %w", d.Name, u.Name, err))
			}
		}
	}
	return errors.Join(failed...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
