// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/base64"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/control"
	"restante.example/maildrop"
	"restante.example/sasl"
)

// deviceTest is a server with a user, ana.
type deviceTest struct {
	*life
	t     *testing.T
	ready Ready
}

func newDeviceTest(t *testing.T) *deviceTest {
	t.Helper()
	d := &deviceTest{t: t}
	d.ready, d.life = begin(t, testConfig(t, config.Flags{}))
	addUser(t, d.server, "ana")
	return d
}

func (d *deviceTest) call(op string, args, result any) {
	d.t.Helper()
	if err := d.server.Operations().Call(d.t.Context(), op, args, nil, result); err != nil {
		d.t.Fatalf("%s: %v", op, err)
	}
}

func (d *deviceTest) refused(op, code string, args any) {
	d.t.Helper()
	if err := d.server.Operations().Call(d.t.Context(), op, args, nil, nil); !control.HasCode(err, code) {
		d.t.Errorf("%s of %+v: %v, want %s", op, args, err, code)
	}
}

func (d *deviceTest) add(name string) string {
	d.t.Helper()
	var p DevicePassword
	d.call(OpDeviceAdd, DeviceArgs{User: "ana", Name: name}, &p)
	return p.Password
}

func (d *deviceTest) deliver(n int) {
	d.t.Helper()
	for i := range n {
		err := d.server.Operations().Call(d.t.Context(), OpDeliver, DeliverArgs{Recipients: []string{"ana"}}, strings.NewReader(fmt.Sprint(i)), nil)
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// signIn opens a session that must find so many messages.
func (d *deviceTest) signIn(password string, messages int) *peer {
	d.t.Helper()
	p := dial(d.t, d.ready.POP3)
	p.say("USER ana\r\nPASS " + password + "\r\n")
	p.expect(fmt.Sprintf("+OK %d messages", messages))
	return p
}

// collect retrieves and deletes so many messages.
func (d *deviceTest) collect(password string, messages int) {
	d.t.Helper()
	p := d.signIn(password, messages)
	for n := range messages {
		p.say(fmt.Sprintf("RETR %d\r\nDELE %d\r\n", n+1, n+1))
		p.expect(".")
		p.expect("+OK")
	}
	p.say("QUIT\r\n")
	p.expect("+OK")
	if _, err := io.Copy(io.Discard, p.in); err != nil {
		d.t.Error(err)
	}
}

func (d *deviceTest) notIn(password string) {
	d.t.Helper()
	p := dial(d.t, d.ready.POP3)
	p.say("USER ana\r\nPASS " + password + "\r\n")
	p.expect("-ERR [AUTH]")
}

func (d *deviceTest) onDisk(want int) {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.conf.Data, "mail", "ana", "Maildir", "*", "*"))
	if err != nil || len(files) != want {
		d.t.Errorf("%d messages are on the disk, %v; want %d", len(files), err, want)
	}
}

// views returns what views the store has.
func (d *deviceTest) views(o *Office) []maildrop.View {
	d.t.Helper()
	u, err := o.directory.Get(d.t.Context(), "ana")
	if err != nil {
		d.t.Fatal(err)
	}
	list, err := o.store.Views(d.t.Context(), u.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// Each device gets each message once, at the same time as others, and the last
// one takes it from the disk.
func TestDevicesEachGetEverything(t *testing.T) {
	d := newDeviceTest(t)
	phone, tablet := d.add("phone"), d.add("tablet")
	d.deliver(3)
	p, q := d.signIn(phone, 3), d.signIn(tablet, 3) // both at once
	p.say("UIDL\r\n")
	q.say("UIDL\r\n")
	for range 3 {
		a, b := line(p), line(q)
		if a != b || strings.HasPrefix(a, "-ERR") {
			t.Errorf("%q and %q", a, b)
		}
	}
	for _, x := range []*peer{p, q} {
		x.say("QUIT\r\n")
		x.expect("+OK bye")
	}
	d.collect(phone, 3)
	d.onDisk(3)
	d.collect(phone, 0)
	d.collect("secret", 3)
	d.onDisk(3)
	d.deliver(1)
	d.collect(phone, 1)
	d.collect(tablet, 4)
	d.onDisk(1) // that one the computer has not yet
	d.collect("secret", 1)
	d.onDisk(0)

	var list DeviceList
	d.deliver(2)
	d.collect(tablet, 2)
	d.call(OpDeviceList, DeviceArgs{User: "ana"}, &list)
	if len(list.Devices) != 2 || !list.Main.Enabled || list.Main.Messages != 2 || list.Devices[0].Name != "phone" ||
		list.Devices[0].Messages != 2 || list.Devices[1].Messages != 0 || list.Devices[1].Address != "127.0.0.1" ||
		time.Since(list.Devices[1].LastSignIn) > time.Minute || list.Main.LastSignIn.IsZero() {
		t.Errorf("%+v", list)
	}
	if !strings.Contains(d.log.String(), "user=ana device=phone") {
		t.Error("the log does not name the device")
	}
}

func line(p *peer) string {
	p.t.Helper()
	s, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func TestDeviceRefusals(t *testing.T) {
	d := newDeviceTest(t)
	d.add("phone")
	d.refused(OpDeviceAdd, CodeExists, DeviceArgs{User: "ana", Name: "Phone"})
	d.refused(OpDeviceAdd, CodeNoUser, DeviceArgs{User: "nobody", Name: "x"})
	d.refused(OpDeviceAdd, control.CodeFailed, DeviceArgs{User: "ana", Name: " "})
	d.refused(OpDeviceList, CodeNoUser, DeviceArgs{User: "nobody"})
	for _, op := range []string{OpDeviceRemove, OpDevicePassword, OpDeviceReset, OpDeviceDisable, OpDeviceEnable} {
		d.refused(op, CodeNoDevice, DeviceArgs{User: "ana", Name: "tablet"})
		d.refused(op, CodeNoUser, DeviceArgs{User: "nobody", Name: "tablet"})
	}
	d.refused(OpDeviceRename, CodeNoDevice, DeviceArgs{User: "ana", Name: "tablet", To: "x"})
	d.add("tablet")
	d.refused(OpDeviceRename, CodeExists, DeviceArgs{User: "ana", Name: "tablet", To: "phone"})
	if got := d.views(d.server.office); len(got) != 3 {
		t.Errorf("views %q: a refusal has left one behind", got)
	}
	if list, err := d.server.office.directory.Unsettled(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("unsettled: %v, %v", list, err)
	}
}

// The user's own password beside devices: one more view, or refused, and then
// it holds no mail back.
func TestMainPasswordBesideDevices(t *testing.T) {
	d := newDeviceTest(t)
	d.refused(OpDeviceMain, CodeNoDevices, DeviceArgs{User: "ana", Refused: true})
	d.deliver(2)
	var phone DevicePassword
	d.call(OpDeviceAdd, DeviceArgs{User: "ana", Name: "phone", Since: time.Now()}, &phone)
	d.deliver(1)
	d.refused(OpDeviceMain, CodeWouldLose, DeviceArgs{User: "ana", Refused: true})
	d.onDisk(3)
	d.collect("secret", 3)
	main := d.signIn("secret", 0)
	d.call(OpDeviceMain, DeviceArgs{User: "ana", Refused: true}, nil)
	main.expect("-ERR [SYS/TEMP]")
	d.notIn("secret")
	d.collect(phone.Password, 1)
	d.onDisk(0)
	d.deliver(2)
	d.call(OpDeviceMain, DeviceArgs{User: "ana"}, nil)
	d.call(OpDeviceMain, DeviceArgs{User: "ana"}, nil) // it is so already
	d.collect("secret", 2)
	d.onDisk(2)
	d.collect(phone.Password, 2)
	d.onDisk(0)

	// Somebody who can sign in with nothing at all loses nothing.
	d.call(OpDeviceMain, DeviceArgs{User: "ana", Refused: true}, nil)
	d.deliver(2)
	d.call(OpDeviceRemove, DeviceArgs{User: "ana", Name: "phone"}, nil)
	d.onDisk(2)
	d.deliver(1)
	d.refused(OpDeviceAdd, CodeWouldLose, DeviceArgs{User: "ana", Name: "other", Since: time.Now()})
	d.onDisk(3)
	d.collect(d.add("other"), 3)
	d.onDisk(0)
	if got := d.views(d.server.office); len(got) != 1 || got[0] == maildrop.Classic {
		t.Errorf("views %q", got)
	}
}

// A device that is gone holds nothing back.
func TestRemovedDeviceLetsGo(t *testing.T) {
	d := newDeviceTest(t)
	d.add("phone")
	d.deliver(2)
	d.collect("secret", 2)
	d.deliver(1)
	d.onDisk(3)
	var removed DeviceRemoved
	d.call(OpDeviceRemove, DeviceArgs{User: "ana", Name: "phone"}, &removed)
	if removed.Gone != 2 {
		t.Errorf("%d messages went, want 2", removed.Gone)
	}
	d.onDisk(1)
	d.add("tablet")
	d.call(OpUserRemove, UserArgs{Name: "ana"}, nil)
	addUser(t, d.server, "ana")
	var list DeviceList
	d.call(OpDeviceList, DeviceArgs{User: "ana"}, &list)
	if len(list.Devices) != 0 || list.Main.Messages != 1 {
		t.Errorf("a new user of the name has %+v", list)
	}
	d.collect("secret", 1)
	d.onDisk(0)
}

// Sign-ins are known after a restart.
func TestLastSignInOutlivesTheServer(t *testing.T) {
	d := newDeviceTest(t)
	d.collect(d.add("phone"), 0)
	d.signals <- syscall.SIGTERM
	d.wait(t)
	d.ready, d.life = begin(t, d.conf)
	var list DeviceList
	d.call(OpDeviceList, DeviceArgs{User: "ana"}, &list)
	if len(list.Devices) != 1 || list.Devices[0].Address != "127.0.0.1" || time.Since(list.Devices[0].LastSignIn) > time.Minute {
		t.Errorf("%+v", list)
	}
}

// A device that is reset sees again what is still there, under other UIDs for
// what it had removed; its session ends.
func TestDeviceReset(t *testing.T) {
	d := newDeviceTest(t)
	phone := d.add("phone")
	d.deliver(3)
	uids := func(password string, messages int) []string {
		p := d.signIn(password, messages)
		p.say("UIDL\r\n")
		p.expect("+OK")
		var list []string
		for range messages {
			_, uid, _ := strings.Cut(strings.TrimSpace(line(p)), " ")
			list = append(list, uid)
		}
		p.say("QUIT\r\n")
		p.expect("+OK bye")
		return list
	}
	before := uids(phone, 3)
	d.collect(phone, 3)
	d.deliver(1)
	p := d.signIn(phone, 1)
	var reset DevicePassword
	d.call(OpDeviceReset, DeviceArgs{User: "ana", Name: "phone"}, &reset)
	if reset.Messages != 4 || reset.Password != "" {
		t.Errorf("%+v", reset)
	}
	p.say("NOOP\r\n")
	p.expect("-ERR")
	after := uids(phone, 4)
	for _, uid := range before {
		if slices.Contains(after, uid) {
			t.Errorf("the phone remembers %s and would not collect it", uid)
		}
	}
	d.collect(phone, 4)
	d.onDisk(4)
	d.collect("secret", 4)
	d.onDisk(0)
}

// By SCRAM, which does not name the device, each password opens its view.
func TestDevicesBySCRAM(t *testing.T) {
	d := newDeviceTest(t)
	phone, tablet := d.add("phone"), d.add("tablet")
	d.call(OpDeviceMain, DeviceArgs{User: "ana", Refused: true}, nil) // which has no keys
	d.deliver(2)
	d.collect(phone, 2)
	d.deliver(1)
	scram := func(password string) (*peer, string) {
		p := dial(t, d.ready.POP3)
		p.expect("+OK")
		c := sasl.SCRAMClient("SHA-256", "", "ana", password, false)
		name, initial, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		p.say("AUTH " + name + " " + base64.StdEncoding.EncodeToString(initial) + "\r\n")
		for {
			text, challenge := line(p), []byte(nil)
			data, more := strings.CutPrefix(strings.TrimSpace(text), "+ ")
			if !more {
				return p, text
			}
			if challenge, err = base64.StdEncoding.DecodeString(data); err != nil {
				t.Fatal(err)
			}
			response, err := c.Next(challenge)
			if err != nil {
				t.Fatal(err)
			}
			p.say(base64.StdEncoding.EncodeToString(response) + "\r\n")
		}
	}
	for password, want := range map[string]string{phone: "+OK 1 messages", tablet: "+OK 3 messages",
		"secret": "-ERR [AUTH]", strings.ToUpper(phone): "-ERR [AUTH]"} {
		if _, got := scram(password); !strings.HasPrefix(got, want) {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	var list DeviceList
	d.call(OpDeviceList, DeviceArgs{User: "ana"}, &list)
	if list.Devices[1].LastSignIn.IsZero() {
		t.Error("a sign-in by SCRAM was not noted")
	}
}
