// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"restante.example/internal/config"
	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// homes knows where the mail of a maildrop is. Names never change, so what was
// found once holds as long as the user is there.
type homes struct {
	config    *config.Config
	directory *directory.Directory

	mu    sync.Mutex
	names map[maildrop.ID]string
}

// name returns the name of a maildrop's owner, or maildrop.ErrNoMaildrop.
func (h *homes) name(ctx context.Context, id maildrop.ID) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name, ok := h.names[id]; ok {
		return name, nil
	}
	users, err := h.directory.List(ctx)
	if err != nil {
		return "", err
	}
	h.names = make(map[maildrop.ID]string, len(users))
	for _, u := range users {
		h.names[u.ID] = u.Name
	}
	if name, ok := h.names[id]; ok {
		return name, nil
	}
	return "", maildrop.ErrNoMaildrop
}

// locate returns the Maildir of a maildrop, and the directory of our own state
// of it: beside the Maildir when that is ours too, and in the data directory
// when the configuration leads to a tree of others. State belongs to the id: a
// user who is added anew under an old name takes over the mail, and not what
// was decided about it.
func (h *homes) locate(ctx context.Context, id maildrop.ID) (mail, state string, err error) {
	name, err := h.name(ctx, id)
	if err != nil {
		return "", "", err
	}
	if mail, err = h.config.MaildirOf(name); err != nil {
		return "", "", err
	}
	if h.config.Maildir != "" {
		return mail, filepath.Join(h.config.Data, "state", string(id)), nil
	}
	return mail, filepath.Join(filepath.Dir(mail), ".restante", string(id)), nil
}

// free reports why a user of that name could not have a Maildir: because the
// template has no place for it, or gives it to somebody else too.
func (h *homes) free(ctx context.Context, name string) error {
	mail, err := h.config.MaildirOf(name)
	if err != nil {
		return err
	}
	users, err := h.directory.List(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if other, err := h.config.MaildirOf(u.Name); err == nil && other == mail && u.Name != name {
			return fmt.Errorf("the maildir template gives %s to %s already, and the mail of two would be mixed; change the template", mail, u.Name)
		}
	}
	return nil
}
