// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package destinations

import (
	"context"
	"errors"
	"io/fs"

	"restante.example/collect"
	"restante.example/internal/fsx"
)

// eml files each message as one .eml file, under a name that every system
// takes: when it was collected, and its key.
type eml struct {
	id string
	fs fsx.FS
	staging
}

var _ collect.Destination = (*eml)(nil)

const emlTemp = ".restante-"

func newEML(id string, dir fsx.FS, opt Options) *eml {
	return &eml{id: id, fs: dir, staging: staging{fs: dir, crlf: opt.CRLF, prefix: emlTemp, suffix: ".tmp"}}
}

func (d *eml) ID() string   { return d.id }
func (d *eml) Window() int  { return 1 << 10 }
func (d *eml) Close() error { return d.fs.Close() }

// Stage implements collect.Destination.
func (d *eml) Stage(_ context.Context, account string, _ int64) (collect.Staged, error) {
	return d.stage(account)
}

// Prepare implements collect.Destination.
func (d *eml) Prepare(_ context.Context, items []*collect.Item) {
	sealAll(items)
	for _, it := range items {
		it.Name = it.Message.Time.UTC().Format("2006-01-02_150405") + "_" + it.Message.Key[:min(16, len(it.Message.Key))] + ".eml"
	}
}

// File implements collect.Destination.
func (d *eml) File(_ context.Context, items []*collect.Item) {
	for _, it := range items {
		f := it.Staged.(*stagedFile)
		if err := d.place(f.name, it.Name); err != nil {
			it.Err = classify(err)
		}
		f.Discard()
	}
	if len(items) == 0 {
		return
	}
	if err := d.fs.SyncDir("."); err != nil {
		for _, it := range items {
			it.Err = errors.Join(it.Err, err)
		}
	}
}

// place gives a file its name, and never takes it from another file. File
// systems without links get a rename.
func (d *eml) place(temp, name string) error {
	err := d.fs.Link(temp, name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := d.fs.Stat(name); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.fs.Rename(temp, name)
}

// Recover implements collect.Destination.
func (d *eml) Recover(_ context.Context, account string, pending []*collect.Pending) error {
	if len(pending) > 0 {
		if err := d.fs.SyncDir("."); err != nil {
			return err
		}
	}
	for _, p := range pending {
		_, err := d.fs.Stat(p.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p.Filed = err == nil
	}
	return d.clean(account)
}
