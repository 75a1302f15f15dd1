// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package journal keeps an append-only file of checksummed records. A record
// is in the journal when Append has returned without an error, and then for
// ever; what a power cut tears is only what was never confirmed. It knows
// nothing of what the records mean.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"restante.example/internal/fsx"
)

// MaxRecord is the largest record in octets.
const MaxRecord = 64 << 20

// maxFile bounds what Open reads into memory, in octets.
const maxFile = 1 << 30

var (
	// ErrFenced: an earlier write failed and it is not known what is on the
	// disk. Rewrite lifts it.
	ErrFenced = errors.New("the journal has to be rewritten first")
	// ErrTooLarge: a record is larger than MaxRecord.
	ErrTooLarge = errors.New("a record is too large for the journal")
)

// DamageError says that the file is damaged where it had been flushed.
type DamageError struct {
	Name   string
	Offset int64
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("journal %s is damaged at octet %d", e.Name, e.Offset)
}

// Record is one record: its type and what it holds.
type Record struct {
	Type byte
	Data []byte
}

// Journal is an open journal. It holds no file open between two calls. It is
// used by one goroutine at a time.
type Journal struct {
	fs   fsx.FS
	name string
	// NoFlush leaves out every flush: a power cut may then lose what was decided.
	NoFlush bool
	// size is where the next record goes, flushed how much of that is durable.
	size, flushed int64
	exists        bool
	fenced        error
}

// Open reads a journal and gives each record to apply, whose errors it
// returns. A journal that is not there is empty and is made by the first
// Append. A torn end is cut; Torn tells. For a file that is damaged before its
// end it returns a *DamageError, after apply has seen the records in front of
// the damage; nothing can be appended then.
func Open(f fsx.FS, name string, apply func(Record) error) (*Journal, error) {
	j := &Journal{fs: f, name: name}
	data, err := fsx.ReadFile(f, name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", name, err)
	}
	j.exists = true
	end, durable, err := scan(data, apply)
	if err != nil {
		j.fenced = err
		if damage := (*DamageError)(nil); errors.As(err, &damage) {
			damage.Name = name
		}
		return j, err
	}
	j.size, j.flushed = end, durable
	if end < int64(len(data)) {
		// The torn end is cut by writing the file anew, never in place.
		j.fenced = fmt.Errorf("journal %s: %w", name, errTorn)
	}
	return j, nil
}

var errTorn = fmt.Errorf("its end was torn by a crash: %w", ErrFenced)

// Torn reports whether the end of the file was torn by a crash.
func (j *Journal) Torn() bool { return errors.Is(j.fenced, errTorn) }

// Fenced returns why nothing can be appended now, or nil.
func (j *Journal) Fenced() error { return j.fenced }

// Size returns the size of the journal in octets, 0 when there is none.
func (j *Journal) Size() int64 { return j.size }

// Exists reports whether there is a file.
func (j *Journal) Exists() bool { return j.exists }

// Append adds records in one step and flushes them. After an error it is not
// known whether they are on the disk, and the journal is fenced: a Rewrite that
// goes well makes sure that they are not.
func (j *Journal) Append(records ...Record) error { return j.append(true, records) }

// Note adds records that may be lost: they become durable with the next Append.
func (j *Journal) Note(records ...Record) error { return j.append(false, records) }

func (j *Journal) append(flush bool, records []Record) error {
	if j.fenced != nil {
		return j.fenced
	}
	for _, r := range records {
		if len(r.Data) >= MaxRecord {
			return ErrTooLarge
		}
	}
	if !j.exists {
		return j.Rewrite(records)
	}
	data := make([]byte, 0, octets(records))
	for _, r := range records {
		data = appendRecord(data, r, j.flushed)
	}
	if err := j.write(data, flush && !j.NoFlush); err != nil {
		err = fmt.Errorf("journal %s: %w", j.name, err)
		j.fenced = fmt.Errorf("%w: %w", ErrFenced, err)
		return err
	}
	j.size += int64(len(data))
	if flush {
		j.flushed = j.size
	}
	return nil
}

func (j *Journal) write(data []byte, flush bool) error {
	f, err := j.fs.OpenFile(j.name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size != j.size {
		err = fmt.Errorf("the file has %d octets and should have %d: something else changed it", info.Size, j.size)
	}
	if err == nil {
		_, err = f.Write(data)
		if err == nil && flush {
			err = f.Sync()
		}
		if err != nil {
			// The records were not accepted, so a process that is killed before
			// Rewrite comes to it must not leave them to the next one. Whether the
			// disk has them stays unknown, and so does not depend on this error.
			_ = f.Truncate(j.size)
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Rewrite replaces the whole journal by records, in one durable step. It lifts
// a fence. When it fails the journal is fenced, and it is not known whether the
// old or the new one is on the disk.
func (j *Journal) Rewrite(records []Record) error {
	data := image(records)
	var err error
	if j.NoFlush {
		_, err = unflushed(j.fs, j.name, data)
	} else {
		if err = fsx.MkdirAllSynced(j.fs, path.Dir(j.name)); err == nil {
			_, err = fsx.WriteFileSynced(j.fs, j.name, data)
		}
	}
	if err != nil {
		err = fmt.Errorf("journal %s: %w", j.name, err)
		if j.fenced == nil {
			j.fenced = fmt.Errorf("%w: %w", ErrFenced, err)
		}
		return err
	}
	j.size, j.flushed, j.exists, j.fenced = int64(len(data)), int64(len(data)), true, nil
	return nil
}

// unflushed does what fsx.WriteFileSynced does and flushes nothing.
func unflushed(f fsx.FS, name string, data []byte) (renamed bool, err error) {
	temp := name + ".new"
	file, err := f.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return false, err
	}
	_, err = file.Write(data)
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return false, err
	}
	return true, f.Rename(temp, name)
}
