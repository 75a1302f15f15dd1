// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package passwdfile reads files of users and passwords in Dovecot's format, a
// line for each:
//
//	user:password:uid:gid:gecos:home:shell:extra_fields
//
// What a file says that this server cannot do is never passed over in silence:
// where it bears on who may sign in, the user is unclear, and otherwise it is
// noted.
package passwdfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"restante.example/internal/directory"
	"restante.example/internal/passwords"
	"restante.example/sasl"
)

// Bounds of a file; beyond them it is taken for something else.
const (
	maxLine  = 64 << 10 // octets
	maxSize  = 512 << 20
	maxUsers = 1_000_000
)

// Errors of a whole file, which is not used then.
var (
	// ErrUnfinished: the last line has no end, as while a file is being written.
	ErrUnfinished = errors.New("its last line has no end: it is still being written, or the newline is missing")
	// ErrNoUsers: more likely than an office for nobody is a file that is being
	// written or was lost.
	ErrNoUsers = errors.New("it has no users at all")
)

// File is what a file says.
type File struct {
	// Users have each name once, in the order of the lines.
	Users []directory.Outside
	// Notes are what is not used or not understood, in the order of their first
	// lines.
	Notes []Note
}

// Note is one kind of thing to tell the operator.
type Note struct {
	Text string
	// Problem is true when somebody cannot sign in, or a rule does not hold.
	Problem bool
	// Lines are the numbers of the first lines that it is about, and Count is how
	// many there are in all.
	Lines []int
	Count int
}

// Parse reads a file. The error says why it cannot be used at all, without
// anything that may be secret. It takes memory for the users and one line.
func Parse(r io.Reader) (*File, error) {
	p := parser{names: map[string]int{}, notes: map[string]*Note{}}
	in := bufio.NewReaderSize(io.LimitReader(r, maxSize+1), maxLine)
	var size int64
	for p.line = 1; ; p.line++ {
		text, err := in.ReadSlice('\n')
		size += int64(len(text))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d has more than %d octets: it is no file of users", p.line, maxLine)
		case size > maxSize:
			return nil, fmt.Errorf("it has more than %d MiB: it is no file of users", maxSize>>20)
		case bytes.IndexByte(text, 0) >= 0:
			return nil, fmt.Errorf("line %d has a NUL octet: it is no file of users, or damaged", p.line)
		case errors.Is(err, io.EOF) && len(text) > 0:
			return nil, ErrUnfinished
		case errors.Is(err, io.EOF):
			return p.file()
		case err != nil:
			return nil, err
		}
		p.user(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"))
		if len(p.users) > maxUsers {
			return nil, fmt.Errorf("it has more than %d users", maxUsers)
		}
	}
}

// parser is what has been read so far.
type parser struct {
	line  int
	users []directory.Outside
	names map[string]int // where a name is among the users
	notes map[string]*Note
	order []*Note
}

func (p *parser) file() (*File, error) {
	if len(p.users) == 0 {
		return nil, ErrNoUsers
	}
	f := &File{Users: p.users}
	for _, n := range p.order {
		f.Notes = append(f.Notes, *n)
	}
	return f, nil
}

// Bounds of what is told: of each kind its first lines, and so many kinds.
const (
	maxLines = 20
	maxNotes = 50
)

// note notes something about the line.
func (p *parser) note(problem bool, text string) {
	n := p.notes[text]
	if n == nil {
		if len(p.order) >= maxNotes {
			text, problem = "there is more of this kind in other fields", true
			n = p.notes[text]
		}
		if n == nil {
			n = &Note{Text: text, Problem: problem}
			p.notes[text] = n
			p.order = append(p.order, n)
		}
	}
	if len(n.Lines) < maxLines && (len(n.Lines) == 0 || n.Lines[len(n.Lines)-1] != p.line) {
		n.Lines = append(n.Lines, p.line)
	}
	n.Count++
}

// unused are the fields that are not for this server, by their place.
var unused = map[int]string{2: "uid", 3: "gid", 4: "gecos", 5: "home", 6: "shell"}

// user reads a line.
func (p *parser) user(text string) {
	if text == "" || text[0] == '#' {
		return
	}
	fields := strings.SplitN(text, ":", 8)
	name, err := directory.CleanName(fields[0])
	if err != nil {
		p.note(true, "the name cannot be that of a user: it is empty, or has blanks or characters that mean something in addresses")
		return
	}
	if at, twice := p.names[name]; twice {
		p.unclear(&p.users[at], "it stands there twice")
		return
	}
	o := directory.Outside{Name: name}
	if len(fields) < 2 {
		p.unclear(&o, "it has no password: the line has no colon")
	} else {
		o.Password = sasl.Secret(fields[1])
		if _, err := passwords.Import(fields[1]); err != nil {
			p.unclear(&o, err.Error())
		}
	}
	for i, field := range fields {
		if what := unused[i]; what != "" && field != "" {
			p.note(false, fmt.Sprintf("the field %s is not used here", what))
		}
	}
	if len(fields) == 8 {
		for field := range strings.FieldsSeq(fields[7]) {
			p.extra(&o, field)
		}
	}
	p.names[name] = len(p.users)
	p.users = append(p.users, o)
}

// unclear notes why nobody can tell whether a user may sign in.
func (p *parser) unclear(o *directory.Outside, why string) {
	if o.Unclear == "" {
		o.Unclear = why
	}
	p.note(true, "the user cannot sign in: "+why)
}
