// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"restante.example/maildrop"
	"restante.example/sasl"
)

// Sources of users besides the file itself. Whoever one of them vouches for
// has a row among the users like everybody, with an id of its own, and so
// devices, a quota, aliases and all else work for it; only who it is, and the
// password, are said elsewhere.
const (
	SourcePasswdFile = "passwd-file"
	SourceHelper     = "helper"
)

// Sources says which there are.
type Sources struct {
	// PasswdFile is the path of the passwd-file whose users Mirror brings in,
	// empty for none. Its users sign in while it is the one that was mirrored.
	PasswdFile string
	// Helper is asked about everybody whom nobody else knows; nil for none.
	Helper Helper
	// RefuseUnknown is true when mail for somebody whom the helper has not
	// vouched for yet is refused; otherwise it has to wait.
	RefuseUnknown bool

	helpers int // counts those there were, the present one too
}

// SetSources replaces the sources, as a configuration that is read again does.
// What a helper has said holds for as long as the same one, by ==, is named. It
// is called by one goroutine at a time.
func (d *Directory) SetSources(s Sources) {
	if old := d.sources.Load(); old != nil {
		s.helpers = old.helpers
		if s.Helper != old.Helper {
			s.helpers++
		}
	}
	d.sources.Store(&s)
}

// Outside is a user as a source describes one that can list its users.
type Outside struct {
	// Name is one that CleanName has made.
	Name string
	// Password is what passwords.Import reads.
	Password sasl.Secret
	// NoLogin bars the user from signing in. Mail is still taken in.
	NoLogin bool
	// Nets are from where the user may sign in, nil for everywhere; Local allows
	// connections without an address beside them.
	Nets  []netip.Prefix
	Local bool
	// Quota replaces that of the user, unless it is nil.
	Quota *maildrop.Quota
	// Unclear says why nobody can tell whether the user may sign in, or is
	// empty. Mail is still taken in.
	Unclear string
}

// digest is a keyed hash of all that a session of the user rests on.
func (o *Outside) digest(secret []byte) []byte {
	h := hmac.New(sha256.New, secret)
	for _, part := range []string{string(o.Password), fmt.Sprint(o.NoLogin), netsText(o.Nets, o.Local), o.Unclear} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// outside is what the file knows of a user of a source.
type outside struct {
	source  string
	digest  []byte
	absent  bool // the source does not list it any more
	noLogin bool
	unclear string
	nets    []netip.Prefix
	local   bool
	limited bool // to nets and local
}

// localNet stands for connections without an address.
const localNet = "local"

func netsText(nets []netip.Prefix, local bool) string {
	var words []string
	for _, n := range nets {
		words = append(words, n.String())
	}
	if local {
		words = append(words, localNet)
	}
	return strings.Join(words, ",")
}

// readNets is the opposite of netsText.
func (o *outside) readNets(text string) error {
	if text == "" {
		return nil
	}
	o.limited = true
	for word := range strings.SplitSeq(text, ",") {
		if word == localNet {
			o.local = true
			continue
		}
		n, err := netip.ParsePrefix(word)
		if err != nil {
			return err
		}
		o.nets = append(o.nets, n)
	}
	return nil
}

// allows reports whether a user may sign in from an address.
func (u *record) allows(remote netip.Addr) bool {
	if u == nil || u.outside == nil || !u.outside.limited {
		return true
	}
	if !remote.IsValid() {
		return u.outside.local
	}
	remote = remote.Unmap().WithZone("")
	for _, n := range u.outside.nets {
		if n.Contains(remote) {
			return true
		}
	}
	return false
}

// vouched reports why nobody can tell now whether a user may sign in.
func (d *Directory) vouched(s *snapshot, u *record) error {
	sources := d.sources.Load()
	if u == nil {
		return sources.pending(s)
	}
	if u.outside == nil {
		return nil
	}
	switch {
	case u.outside.unclear != "":
		return fmt.Errorf("directory: %s: its line in the passwd-file: %s", u.Name, u.outside.unclear)
	case u.outside.source == SourcePasswdFile && sources.PasswdFile == "":
		return fmt.Errorf("directory: %s came from a passwd-file, and the configuration names none", u.Name)
	case u.outside.source == SourcePasswdFile && sources.PasswdFile != s.mirrored:
		return fmt.Errorf("directory: %s came from the passwd-file %s, and the one that is named now, %s, could not be read yet", u.Name, s.mirrored, sources.PasswdFile)
	case u.outside.source == SourceHelper && sources.Helper == nil:
		return fmt.Errorf("directory: %s came from a helper, and the configuration names none", u.Name)
	}
	return nil
}

// pending reports whether there is a source that has never been read.
func (f *Sources) pending(s *snapshot) error {
	if f.PasswdFile != "" && s.mirrored != f.PasswdFile {
		return fmt.Errorf("directory: the passwd-file %s could not be read yet, so it cannot be told who there is", f.PasswdFile)
	}
	return nil
}

// errUnvouched is the answer about a recipient whom the helper may know.
var errUnvouched = errors.New("directory: nobody of that name has signed in yet, and the helper cannot be asked without a password")

// noRecipient is the answer about a recipient whom nothing leads to.
func (d *Directory) noRecipient(s *snapshot) error {
	sources := d.sources.Load()
	if err := sources.pending(s); err != nil {
		return err
	}
	if sources.Helper != nil && !sources.RefuseUnknown {
		return errUnvouched
	}
	return maildrop.ErrNoUser
}

// ErrElsewhere is in the error of a command that would change what is kept by
// another source.
var ErrElsewhere = errors.New("it is kept elsewhere; change it there")

// elsewhere refuses to change a password that is kept elsewhere.
func (u *record) elsewhere() error {
	if u.outside == nil {
		return nil
	}
	return fmt.Errorf("the password of %q is that of the %s: %w", u.Name, u.outside.source, ErrElsewhere)
}

// loadOutside reads what is known of users of sources.
func (s *snapshot) loadOutside(ctx context.Context, tx *sql.Tx) error {
	err := tx.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'mirrored'").Scan(&s.mirrored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return rows(ctx, tx, "SELECT user, source, digest, absent, no_login, unclear, nets FROM outside", func(scan scanner) error {
		var id maildrop.ID
		var nets string
		var o outside
		if err := scan(&id, &o.source, &o.digest, &o.absent, &o.noLogin, &o.unclear, &nets); err != nil {
			return err
		}
		u := s.byID[id]
		if err := o.readNets(nets); err != nil {
			return fmt.Errorf("the networks of %q: %w", u.Name, err)
		}
		u.outside, u.Source = &o, o.source
		return nil
	})
}

// setAside takes the users out whom their source does not list any more. Their
// ids wait for the day when it does again.
func (s *snapshot) setAside() {
	for name, u := range s.users {
		if u.outside != nil && u.outside.absent {
			delete(s.users, name)
			delete(s.byID, u.ID)
			s.absent[name] = u
		}
	}
}
