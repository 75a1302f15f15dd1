// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// ErrNoDevice: the user has no device of that name.
var ErrNoDevice = errors.New("directory: no such device")

// Device is a program or an apparatus of a user with a password and a view of
// its own.
type Device struct {
	// View is what the device is known by for ever; its name may change.
	View    maildrop.View
	Name    string
	Enabled bool
	Created time.Time
	// Last is its latest sign-in, or zero.
	Last SignIn
}

// device is what the file knows of a device.
type device struct {
	Device
	folded   string
	password string // the part of the password that names it
	hash     []byte
}

// maxDeviceName is the longest name of a device, in characters.
const maxDeviceName = 64

// CleanDeviceName brings the name of a device into the form in which it is
// shown, and the one in which it is compared: PRECIS Nickname, RFC 8266, in
// which blanks around a name, how many are in it, and letter case don't count.
func CleanDeviceName(name string) (shown, folded string, err error) {
	bad := func() (string, string, error) {
		return "", "", fmt.Errorf("%q cannot be the name of a device: choose 1 to %d letters, digits and blanks, such as phone", name, maxDeviceName)
	}
	if len(name) > 4*maxDeviceName || !utf8.ValidString(name) {
		return bad()
	}
	// RFC 8266 section 2.3: again until it does not change.
	shown = name
	for round, before := 0, ""; before != shown; round++ {
		before = shown
		if shown, err = precis.Nickname.String(before); err != nil || round > 3 {
			return bad()
		}
	}
	if folded, err = precis.Nickname.CompareKey(shown); err != nil || utf8.RuneCountInString(shown) > maxDeviceName {
		return bad()
	}
	return shown, folded, nil
}

// NewView makes the name of a new device's view.
func NewView() maildrop.View { return maildrop.View(randomName(16)) }

func loadDevices(ctx context.Context, tx *sql.Tx, byID map[maildrop.ID]*record) error {
	return rows(ctx, tx, `SELECT d.user, d.view, d.name, d.folded, d.password, d.hash, d.enabled, d.created,
		coalesce(s.at, 0), coalesce(s.address, '')
		FROM devices d LEFT JOIN sign_ins s ON s.user = d.user AND s.view = d.view
		ORDER BY d.user, d.folded`, func(scan scanner) error {
		var id maildrop.ID
		var address string
		var created, at int64
		var of device
		if err := scan(&id, &of.View, &of.Name, &of.folded, &of.password, &of.hash, &of.Enabled, &created, &at, &address); err != nil {
			return err
		}
		u := byID[id]
		if of.View == maildrop.Classic || !of.View.Valid() {
			return fmt.Errorf("a device of %q has the view %q, which is none", u.Name, of.View)
		}
		of.Created, of.Last = time.Unix(created, 0), storedSignIn(at, address)
		u.devices = append(u.devices, &of)
		u.passwords[of.password] = &of
		return nil
	})
}

// device returns the device that has a view, or nil.
func (u *record) device(view maildrop.View) *device {
	for _, of := range u.devices {
		if of.View == view {
			return of
		}
	}
	return nil
}

// named returns the device of a name as a person writes it.
func (u *record) named(name string) (*device, error) {
	if _, folded, err := CleanDeviceName(name); err == nil {
		for _, of := range u.devices {
			if of.folded == folded {
				return of, nil
			}
		}
	}
	return nil, fmt.Errorf("%q of %q: %w", name, u.Name, ErrNoDevice)
}

// deviceOf returns the device whose password it is, or nil; u may be nil.
func (u *record) deviceOf(typed string) *device {
	if u == nil || len(u.devices) == 0 {
		return nil
	}
	canonical, ok := parseAppPassword(typed)
	if !ok {
		return nil
	}
	of := u.passwords[canonical[:appID]]
	if of == nil || !isApp(of.hash, u.ID, canonical) {
		return nil
	}
	return of
}

// revokedViews lists the views whose passwords of before do not hold in is.
func (u *record) revokedViews(is *record) []maildrop.View {
	var list []maildrop.View
	if is.MainRefused && !u.MainRefused {
		list = append(list, maildrop.Classic)
	}
	for _, was := range u.devices {
		now := is.device(was.View)
		if now == nil || now.password != was.password || was.Enabled && !now.Enabled {
			list = append(list, was.View)
		}
	}
	return list
}

// GetDevice returns a device. It fails with maildrop.ErrNoUser or ErrNoDevice.
func (d *Directory) GetDevice(_ context.Context, user, name string) (Device, error) {
	s, err := d.snapshot()
	if err != nil {
		return Device{}, err
	}
	u, err := s.find(user)
	if err != nil {
		return Device{}, err
	}
	of, err := u.named(name)
	if err != nil {
		return Device{}, err
	}
	device := of.Device
	device.Last = d.lastSignIn(u.ID, of.View, of.Last)
	return device, nil
}

// ListDevices returns the devices of a user in the order of their names, and
// the latest sign-in with the user's own password. It fails with
// maildrop.ErrNoUser.
func (d *Directory) ListDevices(_ context.Context, user string) (devices []Device, main SignIn, err error) {
	s, err := d.snapshot()
	if err != nil {
		return nil, SignIn{}, err
	}
	u, err := s.find(user)
	if err != nil {
		return nil, SignIn{}, err
	}
	devices = make([]Device, len(u.devices))
	for i, of := range u.devices {
		devices[i] = of.Device
		devices[i].Last = d.lastSignIn(u.ID, of.View, of.Last)
	}
	return devices, d.lastSignIn(u.ID, maildrop.Classic, u.last), nil
}

// AddDevice adds a device, whose view is in the store already, and returns its
// password, which can be shown now and never again. It fails with
// maildrop.ErrNoUser, or ErrExists when the user has a device of that name.
func (d *Directory) AddDevice(ctx context.Context, user, name string, view maildrop.View) (sasl.Secret, error) {
	shown, folded, err := CleanDeviceName(name)
	if err != nil {
		return "", err
	}
	if view == maildrop.Classic || !view.Valid() {
		return "", fmt.Errorf("directory: %q is no view for a device", view)
	}
	return d.withPassword(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record, password string, hash []byte) (maildrop.View, error) {
		if err := u.freeDevice(folded, ""); err != nil {
			return "", err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO devices (user, view, name, folded, password, hash, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
			u.ID, view, shown, folded, password, hash, d.opts.Now().Unix())
		return view, err
	})
}

// freeDevice reports whether no device but the one of a view has the name.
func (u *record) freeDevice(folded string, but maildrop.View) error {
	for _, of := range u.devices {
		if of.folded == folded && of.View != but {
			return refuse(ErrExists, "%q has a device %q already", u.Name, of.Name)
		}
	}
	return nil
}

// ResetDevicePassword gives a device another password, which is returned. The
// old one opens nothing any more.
func (d *Directory) ResetDevicePassword(ctx context.Context, user, name string) (sasl.Secret, error) {
	return d.withPassword(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record, password string, hash []byte) (maildrop.View, error) {
		of, err := u.named(name)
		if err != nil {
			return "", err
		}
		_, err = tx.ExecContext(ctx, "UPDATE devices SET password = ?, hash = ? WHERE user = ? AND view = ?", password, hash, u.ID, of.View)
		return of.View, err
	})
}

// withPassword makes an app password and stores it with its SCRAM keys, for the
// view that store returns.
func (d *Directory) withPassword(ctx context.Context, user string,
	store func(ctx context.Context, tx *sql.Tx, u *record, password string, hash []byte) (maildrop.View, error)) (sasl.Secret, error) {
	s, err := d.snapshot()
	if err != nil {
		return "", err
	}
	u, err := s.find(user)
	if err != nil {
		return "", err
	}
	shown := newAppPassword()
	canonical, _ := parseAppPassword(shown)
	// 130 random bits are not guessed at, whatever the hash is.
	keys, err := d.deriveSCRAM(ctx, u.ID, sasl.Secret(shown), Hashes{SHA256: true, SHA1: true})
	if err != nil {
		return "", err
	}
	err = d.changeUser(ctx, user, func(ctx context.Context, tx *sql.Tx, now *record) error {
		if now.ID != u.ID {
			return fmt.Errorf("%q was made anew meanwhile; try again", u.Name)
		}
		if now.passwords[canonical[:appID]] != nil {
			return errors.New("the password that was made begins like another one; try again") // one in a thousand million
		}
		view, err := store(ctx, tx, now, canonical[:appID], hashApp(u.ID, canonical))
		if err != nil {
			return err
		}
		return storeSCRAM(ctx, tx, u.ID, view, keys)
	})
	if err != nil {
		return "", err
	}
	return sasl.Secret(shown), nil
}

// changeDevice changes one device.
func (d *Directory) changeDevice(ctx context.Context, user, name string, what func(context.Context, *sql.Tx, *record, *device) error) error {
	return d.changeUser(ctx, user, func(ctx context.Context, tx *sql.Tx, u *record) error {
		of, err := u.named(name)
		if err != nil {
			return err
		}
		return what(ctx, tx, u, of)
	})
}

// RenameDevice gives a device another name. Its password and its view stay.
func (d *Directory) RenameDevice(ctx context.Context, user, name, to string) error {
	shown, folded, err := CleanDeviceName(to)
	if err != nil {
		return err
	}
	return d.changeDevice(ctx, user, name, func(ctx context.Context, tx *sql.Tx, u *record, of *device) error {
		if err := u.freeDevice(folded, of.View); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE devices SET name = ?, folded = ? WHERE user = ? AND view = ?", shown, folded, u.ID, of.View)
		return err
	})
}

// SetDeviceDisabled bars a device from signing in, or lets it in again. Mail
// waits for it meanwhile.
func (d *Directory) SetDeviceDisabled(ctx context.Context, user, name string, disabled bool) error {
	return d.changeDevice(ctx, user, name, func(ctx context.Context, tx *sql.Tx, u *record, of *device) error {
		_, err := tx.ExecContext(ctx, "UPDATE devices SET enabled = ? WHERE user = ? AND view = ?", !disabled, u.ID, of.View)
		return err
	})
}

// RemoveDevice removes a device. Its user is unsettled until its view has been
// dropped too.
func (d *Directory) RemoveDevice(ctx context.Context, user, name string) error {
	return d.changeDevice(ctx, user, name, func(ctx context.Context, tx *sql.Tx, u *record, of *device) error {
		for _, query := range []string{"DELETE FROM devices WHERE user = ? AND view = ?",
			"DELETE FROM scram_keys WHERE user = ? AND device = ?", "DELETE FROM sign_ins WHERE user = ? AND view = ?"} {
			if _, err := tx.ExecContext(ctx, query, u.ID, of.View); err != nil {
				return err
			}
		}
		return unsettle(ctx, tx, u)
	})
}
