// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"restante.example/collect"
	"restante.example/internal/fsx"
)

// maildir files messages in a Maildir: written to tmp, flushed, renamed into
// new, new flushed. The name stands in the journal before the rename, so that
// after a crash it says which message is there.
type maildir struct {
	id    string
	fs    fsx.FS
	named bool // the names of tmp, new and cur are durable
	staging
}

var _ collect.Destination = (*maildir)(nil)

func newMaildir(id string, dir fsx.FS, opt Options) (*maildir, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := dir.Mkdir(sub); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(err, dir.Close())
		}
	}
	return &maildir{id: id, fs: dir, staging: staging{fs: dir, dir: "tmp", crlf: opt.CRLF}}, nil
}

func (d *maildir) ID() string   { return d.id }
func (d *maildir) Window() int  { return 1 << 10 }
func (d *maildir) Close() error { return d.fs.Close() }

// Stage implements collect.Destination.
func (d *maildir) Stage(_ context.Context, account string, _ int64) (collect.Staged, error) {
	return d.stage(account)
}

// Prepare implements collect.Destination.
func (d *maildir) Prepare(_ context.Context, items []*collect.Item) {
	// Not before there is mail: most polls find none, and pay for no flush.
	if !d.named {
		if err := d.fs.SyncDir("."); err != nil {
			for _, it := range items {
				it.Err = classify(err)
			}
			return
		}
		d.named = true
	}
	sealAll(items)
	for _, it := range items {
		f := it.Staged.(*stagedFile)
		// The sizes in the name spare other programs a look at the file.
		it.Name = fmt.Sprintf("%s,S=%d,W=%d", f.name, f.size, it.Message.Size)
	}
}

// File implements collect.Destination.
func (d *maildir) File(_ context.Context, items []*collect.Item) {
	for _, it := range items {
		f := it.Staged.(*stagedFile)
		if err := d.fs.Rename("tmp/"+f.name, "new/"+it.Name); err != nil {
			it.Err = classify(err)
			f.Discard()
			continue
		}
		f.giveUp()
	}
	if len(items) == 0 {
		return
	}
	if err := d.fs.SyncDir("new"); err != nil {
		for _, it := range items {
			it.Err = errors.Join(it.Err, err)
		}
	}
}

// unique is the part of a name that stays: other programs put flags behind it,
// and fields of their own, such as ",U=" of mbsync.
func unique(name string) string {
	if i := strings.IndexAny(name, ",:;!"); i >= 0 {
		name = name[:i]
	}
	return name
}

// Recover implements collect.Destination. A mail program may have moved the
// message to cur and added flags behind a colon, or what stands for it on
// systems that have none.
func (d *maildir) Recover(_ context.Context, account string, pending []*collect.Pending) error {
	if len(pending) > 0 {
		there := make(map[string]bool)
		for _, sub := range []string{"new", "cur"} {
			if err := d.fs.SyncDir(sub); err != nil {
				return err
			}
			list, err := d.fs.ReadDir(sub)
			if err != nil {
				return err
			}
			for _, e := range list {
				there[unique(e.Name)] = true
			}
		}
		for _, p := range pending {
			p.Filed = there[unique(p.Name)]
		}
	}
	return d.clean(account)
}
