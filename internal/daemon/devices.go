// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"restante.example/internal/control"
	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// Names of the operations on devices.
const (
	OpDeviceAdd      = "device.add"
	OpDeviceList     = "device.list"
	OpDeviceRemove   = "device.remove"
	OpDeviceRename   = "device.rename"
	OpDevicePassword = "device.passwd"
	OpDeviceDisable  = "device.disable"
	OpDeviceEnable   = "device.enable"
	OpDeviceReset    = "device.reset"
	OpDeviceMain     = "device.main"
)

// Codes of refusals about devices.
const (
	CodeNoDevice = "no-device"
	// CodeNoDevices: the user has none, so its own password cannot be refused.
	CodeNoDevices = "no-devices"
	// CodeWouldLose: messages would leave the disk that nobody has collected.
	CodeWouldLose = "would-lose"
)

// DeviceArgs name a device of a user.
type DeviceArgs struct {
	User string `json:"user"`
	Name string `json:"name,omitempty"`
	// To is the new name.
	To string `json:"to,omitempty"`
	// Since is when the messages have arrived that a view begins with, zero for
	// all that are there.
	Since time.Time `json:"since,omitzero"`
	// Refused says whether the user's own password is refused by POP3.
	Refused bool `json:"refused,omitempty"`
	// Discard says that messages may be lost that nobody else has waiting.
	Discard bool `json:"discard,omitempty"`
}

// DeviceInfo is a device as the commands show one, or the user's own password.
type DeviceInfo struct {
	Name    string        `json:"name"`
	View    maildrop.View `json:"view"`
	Enabled bool          `json:"enabled"`
	Created time.Time     `json:"created,omitzero"`
	// LastSignIn and Address tell of the latest sign-in, and are missing where
	// there was none.
	LastSignIn time.Time `json:"last_sign_in,omitzero"`
	Address    string    `json:"address,omitempty"`
	// Messages and Octets are what is waiting.
	Messages int   `json:"messages"`
	Octets   int64 `json:"octets"`
	// Problem says why that cannot be told, or is empty.
	Problem string `json:"problem,omitempty"`
}

// DeviceList is what a user signs in with.
type DeviceList struct {
	User string `json:"user"`
	// Main is the user's own password; where it is not enabled, it is refused.
	Main    DeviceInfo   `json:"main"`
	Devices []DeviceInfo `json:"devices"`
}

// DevicePassword is a device with the password that it has now.
type DevicePassword struct {
	User     string `json:"user"`
	Name     string `json:"name"`
	Password string `json:"password,omitempty"`
	Messages int    `json:"messages"`
	// Main is true when the user's own password opens a view too.
	Main bool `json:"main"`
}

// DeviceRemoved tells what went with a device.
type DeviceRemoved struct {
	// Gone is how many messages only this device had waiting.
	Gone int `json:"gone"`
}

// deviceRefusal is refusal for what concerns devices too.
func deviceRefusal(err error) error {
	if errors.Is(err, directory.ErrNoDevice) {
		return &control.Error{Code: CodeNoDevice, Text: err.Error()}
	}
	return refusal(err)
}

// deviceOperations adds the operations on devices.
func (o *Office) deviceOperations(m control.Mux) {
	control.Handle(m, OpDeviceList, o.listDevices)
	simple := func(op string, do func(context.Context, DeviceArgs) error) {
		control.Handle(m, op, func(ctx context.Context, a DeviceArgs, _ io.Reader) (Nothing, error) {
			return Nothing{}, deviceRefusal(do(ctx, a))
		})
	}
	simple(OpDeviceRename, func(ctx context.Context, a DeviceArgs) error {
		return o.directory.RenameDevice(ctx, a.User, a.Name, a.To)
	})
	simple(OpDeviceDisable, func(ctx context.Context, a DeviceArgs) error {
		return o.directory.SetDeviceDisabled(ctx, a.User, a.Name, true)
	})
	simple(OpDeviceEnable, func(ctx context.Context, a DeviceArgs) error {
		return o.directory.SetDeviceDisabled(ctx, a.User, a.Name, false)
	})
	locked(o, m, OpDeviceAdd, o.addDevice)
	locked(o, m, OpDevicePassword, o.resetDevicePassword)
	locked(o, m, OpDeviceRemove, o.removeDevice)
	locked(o, m, OpDeviceReset, o.resetDevice)
	locked(o, m, OpDeviceMain, o.setMain)
}

// locked adds an operation that changes devices and views together.
func locked[R any](o *Office, m control.Mux, op string, do func(context.Context, directory.User, DeviceArgs) (R, error)) {
	control.Handle(m, op, func(ctx context.Context, a DeviceArgs, _ io.Reader) (result R, err error) {
		unlock, err := o.lockViews(ctx)
		if err != nil {
			return result, err
		}
		defer unlock()
		u, err := o.directory.Get(ctx, a.User)
		if err != nil {
			return result, deviceRefusal(err)
		}
		result, err = do(ctx, u, a)
		return result, deviceRefusal(err)
	})
}

func (o *Office) listDevices(ctx context.Context, a DeviceArgs, _ io.Reader) (DeviceList, error) {
	u, err := o.directory.Get(ctx, a.User)
	if err != nil {
		return DeviceList{}, refusal(err)
	}
	devices, main, err := o.directory.ListDevices(ctx, u.Name)
	if err != nil {
		return DeviceList{}, refusal(err)
	}
	list := DeviceList{User: u.Name, Devices: []DeviceInfo{},
		Main: o.deviceInfo(ctx, u.ID, directory.Device{Enabled: !u.MainRefused, Last: main, Created: u.Created})}
	for _, of := range devices {
		list.Devices = append(list.Devices, o.deviceInfo(ctx, u.ID, of))
	}
	return list, nil
}

func (o *Office) deviceInfo(ctx context.Context, id maildrop.ID, of directory.Device) DeviceInfo {
	i := DeviceInfo{Name: of.Name, View: of.View, Enabled: of.Enabled, Created: of.Created, LastSignIn: of.Last.At}
	if of.Last.Address.IsValid() {
		i.Address = of.Last.Address.String()
	}
	usage, err := o.waiting(ctx, id, of.View)
	if err != nil {
		i.Problem = err.Error()
	}
	i.Messages, i.Octets = usage.Messages, usage.Octets
	return i
}

// waiting says what is waiting in a view; nothing where there is none.
func (o *Office) waiting(ctx context.Context, id maildrop.ID, view maildrop.View) (maildrop.ViewUsage, error) {
	usage, err := o.store.maildirs.UsageOf(ctx, id, view)
	if errors.Is(err, maildrop.ErrNoView) {
		return maildrop.ViewUsage{}, nil
	}
	return usage, err
}

func (o *Office) addDevice(ctx context.Context, u directory.User, a DeviceArgs) (DevicePassword, error) {
	views, err := o.directory.Views(ctx, u.Name)
	if err != nil {
		return DevicePassword{}, err
	}
	// The first device of somebody whose own password is refused gets what was
	// kept in the classic view, which goes.
	if u.MainRefused && len(views) == 1 && views[0] == maildrop.Classic && !a.Since.IsZero() && !a.Discard {
		usage, err := o.waiting(ctx, u.ID, maildrop.Classic)
		if err != nil {
			return DevicePassword{}, err
		}
		if usage.Alone > 0 {
			return DevicePassword{}, wouldLose(usage.Alone)
		}
	}
	if err := o.directory.PrepareDevice(ctx, u.Name, a.Name); err != nil {
		return DevicePassword{}, err
	}
	defer o.settleLater(ctx, u.Name)
	view := directory.NewView()
	if err := o.store.AddView(ctx, u.ID, view, a.Since); err != nil {
		return DevicePassword{}, fmt.Errorf("the device was not added: %w", err)
	}
	password, err := o.directory.AddDevice(ctx, u.Name, a.Name, view)
	if err != nil {
		return DevicePassword{}, err
	}
	return o.withPassword(ctx, u, a.Name, string(password))
}

// withPassword returns a device with the password that was made for it.
func (o *Office) withPassword(ctx context.Context, u directory.User, name, password string) (DevicePassword, error) {
	p := DevicePassword{User: u.Name, Password: password, Main: !u.MainRefused}
	of, err := o.directory.GetDevice(ctx, u.Name, name)
	if err != nil {
		return p, err
	}
	usage, err := o.waiting(ctx, u.ID, of.View)
	p.Name, p.Messages = of.Name, usage.Messages
	return p, err
}

func wouldLose(messages int) error {
	return &control.Error{Code: CodeWouldLose, Text: fmt.Sprintf("%d messages would be lost: no device has them waiting", messages)}
}

func (o *Office) resetDevicePassword(ctx context.Context, u directory.User, a DeviceArgs) (DevicePassword, error) {
	password, err := o.directory.ResetDevicePassword(ctx, u.Name, a.Name)
	if err != nil {
		return DevicePassword{}, err
	}
	return o.withPassword(ctx, u, a.Name, string(password))
}

// removeDevice ends the device's session before anything else, and lets go of
// its mail then.
func (o *Office) removeDevice(ctx context.Context, u directory.User, a DeviceArgs) (DeviceRemoved, error) {
	of, err := o.directory.GetDevice(ctx, u.Name, a.Name)
	if err != nil {
		return DeviceRemoved{}, err
	}
	if err := o.directory.RemoveDevice(ctx, u.Name, a.Name); err != nil {
		return DeviceRemoved{}, err
	}
	defer o.settleLater(ctx, u.Name)
	views, err := o.directory.Views(ctx, u.Name)
	if err != nil {
		return DeviceRemoved{}, err
	}
	if u.MainRefused && views[0] == maildrop.Classic {
		return DeviceRemoved{}, nil // it was the last one: all it had waits on in the classic view
	}
	// The device is gone, whether this can be told or not.
	usage, err := o.waiting(ctx, u.ID, of.View)
	if err != nil {
		o.log.Warn("what a removed device had waiting cannot be told", "user", u.Name, "device", of.Name, "error", err)
	}
	return DeviceRemoved{Gone: usage.Alone}, nil
}

func (o *Office) resetDevice(ctx context.Context, u directory.User, a DeviceArgs) (DevicePassword, error) {
	of, err := o.directory.GetDevice(ctx, u.Name, a.Name)
	if err != nil {
		return DevicePassword{}, err
	}
	resetter, ok := any(o.store.maildirs).(maildrop.ViewResetter)
	if !ok {
		return DevicePassword{}, errors.New("this store cannot show a device everything again; remove the device and add it")
	}
	if err := resetter.ResetView(ctx, u.ID, of.View, a.Since); err != nil {
		return DevicePassword{}, fmt.Errorf("the device was not reset: %w", err)
	}
	return o.withPassword(ctx, u, of.Name, "")
}

// setMain settles what the user's own password does beside devices.
func (o *Office) setMain(ctx context.Context, u directory.User, a DeviceArgs) (Nothing, error) {
	if a.Refused {
		return Nothing{}, o.refuseMain(ctx, u, a.Discard)
	}
	if !u.MainRefused {
		return Nothing{}, nil
	}
	if err := o.directory.Unsettle(ctx, u.Name); err != nil {
		return Nothing{}, err
	}
	defer o.settleLater(ctx, u.Name)
	err := o.store.AddView(ctx, u.ID, maildrop.Classic, a.Since)
	if err != nil && !errors.Is(err, maildrop.ErrViewExists) {
		return Nothing{}, err
	}
	return Nothing{}, o.directory.SetMainRefused(ctx, u.Name, false)
}

func (o *Office) refuseMain(ctx context.Context, u directory.User, discard bool) error {
	devices, _, err := o.directory.ListDevices(ctx, u.Name)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return &control.Error{Code: CodeNoDevices, Text: fmt.Sprintf("%s has no devices: nobody could collect the mail", u.Name)}
	}
	usage, err := o.waiting(ctx, u.ID, maildrop.Classic)
	if err != nil {
		return err
	}
	if usage.Alone > 0 && !discard {
		return wouldLose(usage.Alone)
	}
	if err := o.directory.SetMainRefused(ctx, u.Name, true); err != nil {
		return err
	}
	o.settleLater(ctx, u.Name)
	return nil
}
