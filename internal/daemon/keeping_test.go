// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"testing"
	"time"

	"restante.example/internal/config"
	"restante.example/maildrop"
)

// A device that has been silent for long holds nothing back, and is there again
// when it signs in; the one that is left always holds the mail.
func TestSilentDevices(t *testing.T) {
	d := newDeviceTest(t)
	phone := d.add("phone")
	d.deliver(2)
	s := d.signIn("secret", 2)
	s.say("DELE 1\r\nQUIT\r\n")
	s.expect("+OK")
	s.expect("+OK")
	o := d.server.office
	silence := func(after time.Duration) {
		t.Helper()
		if err := o.silence(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
	silence(0)
	silence(time.Hour)
	d.onDisk(2)
	silence(time.Nanosecond) // both are; the first that is asked gives way
	d.onDisk(1)
	p := d.signIn(phone, 1)
	p.say("QUIT\r\n")
	p.expect("+OK")
	d.onDisk(1)
}

func TestRulesOfConfiguration(t *testing.T) {
	c := config.Default()
	if r := *rulesOf(c); r != (maildrop.Rules{Trace: 90 * 24 * time.Hour}) {
		t.Errorf("by default: %+v", r)
	}
	c.KeepRemoved, c.KeepTrace = config.Duration(time.Hour), 0
	c.Retention = config.Retention{Age: config.Duration(time.Minute), Messages: 3, Octets: 4}
	if r := *rulesOf(c); r != (maildrop.Rules{KeepRemoved: time.Hour, Trace: -1, Age: time.Minute, Messages: 3, Octets: 4}) {
		t.Errorf("%+v", r)
	}
}
