// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"

	"restante.example/internal/config"
)

// announced returns the line with which a new session announces EXPIRE, or "".
func (d *deviceTest) announced() string {
	d.t.Helper()
	p := dial(d.t, d.ready.POP3)
	p.say("CAPA\r\n")
	expire := ""
	for l := ""; l != ".\r\n"; {
		if l = line(p); strings.HasPrefix(l, "EXPIRE") {
			expire = strings.TrimSpace(l)
		}
	}
	return expire
}

func TestRetentionOfAUser(t *testing.T) {
	d := newDeviceTest(t)
	sweep := func(want int) {
		t.Helper()
		if err := d.server.sweep(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		d.onDisk(want)
	}
	reload := func(change func(*config.Config)) {
		t.Helper()
		next := *d.server.config.Load()
		change(&next)
		if err := d.server.Reload(func() (*config.Config, error) { return &next, nil }); err != nil {
			t.Fatal(err)
		}
	}
	expire := func(want string) {
		t.Helper()
		if got := d.announced(); got != want {
			t.Errorf("announced is %q, want %q", got, want)
		}
	}
	own := func(name string, rules *UserRetention) {
		t.Helper()
		d.call(OpUserRetention, RetentionArgs{Name: name, Rules: rules}, nil)
	}
	const day = 24 * 60 * 60
	addUser(t, d.server, "bea")
	expire("")
	d.deliver(5)
	sweep(5)
	own("ana", &UserRetention{Age: 30 * day})
	sweep(5)
	expire("EXPIRE 30")
	own("ana", &UserRetention{Age: 30 * day, Messages: 4})
	sweep(4)
	expire("") // it may be any time
	var list []UserInfo
	d.call(OpUserList, Nothing{}, &list)
	if r := list[0].Retention; len(list) != 2 || r == nil || *r != (UserRetention{Age: 30 * day, Messages: 4}) || list[1].Retention != nil {
		t.Errorf("listed are %+v", list)
	}

	// For ever, whatever holds for others.
	own("ana", &UserRetention{})
	reload(func(c *config.Config) { c.Retention = config.Retention{Messages: 3} })
	sweep(4)
	own("ana", nil)
	sweep(3)
	reload(func(c *config.Config) { c.Retention = config.Retention{Age: 90 * config.Duration(day*1e9)} })
	expire("EXPIRE 90")

	// Rules go with their user, and no rule touches the mail that stays.
	own("bea", &UserRetention{Messages: 1})
	own("ana", &UserRetention{Messages: 2})
	expire("")
	d.call(OpUserRemove, UserArgs{Name: "ana"}, nil)
	reload(func(c *config.Config) { c.Retention.Messages = 1 })
	sweep(3)
	reload(func(c *config.Config) { c.Retention.Messages = 0 })
	expire("")
	d.call(OpUserRemove, UserArgs{Name: "bea"}, nil)
	expire("EXPIRE 90")
	d.refused(OpUserRetention, CodeNoUser, RetentionArgs{Name: "bea"})
}

// While the users cannot be told, nothing is removed and nothing announced.
func TestRetentionThatCannotBeTold(t *testing.T) {
	d := newDeviceTest(t)
	o := d.server.office
	u, err := o.directory.Get(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Retention.Age = config.Duration(48 * 3600 * 1e9)
	o.store.rules.Store(rulesOf(c))
	if r, err := o.store.rulesFor(t.Context(), u.ID); err != nil || r.Age == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := o.store.rulesFor(t.Context(), "nobody"); err != nil || r.Age != 0 || r.Trace == 0 {
		t.Errorf("of nobody: %+v, %v", r, err)
	}
	if got := o.expireDays(t.Context(), c); got != 2 {
		t.Errorf("announced are %d days", got)
	}
	if err := o.directory.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := o.store.rulesFor(t.Context(), u.ID); err == nil {
		t.Errorf("without the users: %+v", r)
	}
	if got := o.expireDays(t.Context(), c); got != 0 {
		t.Errorf("without the users %d days are announced", got)
	}
}
