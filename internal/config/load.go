// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Problem is one mistake.
type Problem struct {
	// File and Line say where it is; File is empty for flags and defaults.
	File string
	Line int
	Text string
}

func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Problems is all that is wrong with a configuration.
type Problems []Problem

// Error has a line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Flags are settings of the command line. An empty one says nothing; "off"
// switches a listener off.
type Flags struct {
	Data, POP3, POP3S, LMTP, TLSCert, TLSKey string
}

// Load reads a file, puts the flags over it, fills in what is left open and
// checks the whole. File may be empty: then there are defaults and flags alone.
// The error is of type Problems, or says why the file cannot be read.
func Load(file string, flags Flags, getenv func(string) string) (*Config, error) {
	c := Default()
	l := &loader{config: c, lines: make(map[string]int)}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if l.file, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		c.File = l.file
		l.decode(text)
	}
	l.override(flags)
	l.complete(getenv)
	l.check()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, l.problems
	}
	return c, nil
}

type loader struct {
	config   *Config
	file     string
	lines    map[string]int // where the value of a key comes from, if from the file
	problems Problems
}

// problem notes a mistake in the value of a key.
func (l *loader) problem(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	line, ok := l.lines[key]
	if !ok {
		if table, _, inner := strings.Cut(key, "."); inner {
			line, ok = l.lines[table]
		}
	}
	if ok {
		l.problems = append(l.problems, Problem{l.file, line, text})
	} else {
		l.problems = append(l.problems, Problem{"", 0, text})
	}
}

// decode reads the text key by key, so that one wrong value does not hide the
// next.
func (l *loader) decode(text []byte) {
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		l.wrong(err, 0, 0)
		return // it is no TOML: nothing in it can be relied on
	}
	lines := strings.SplitAfter(string(text), "\n")
	expressions := parse(text)
	for i, e := range expressions {
		end := len(lines)
		if i+1 < len(expressions) {
			end = expressions[i+1].line - 1
		}
		piece := strings.Join(lines[e.line-1:end], "")
		above := 0
		if e.table != "" && !e.header {
			piece, above = "["+e.table+"]\n"+piece, 1
		}
		if !e.header {
			l.lines[e.key()] = e.line
		}
		d := toml.NewDecoder(strings.NewReader(piece))
		d.DisallowUnknownFields()
		err := d.Decode(l.config)
		var unknown *toml.StrictMissingError
		switch {
		case errors.As(err, &unknown):
			l.problems = append(l.problems, Problem{l.file, e.line, e.unknown()})
		case err != nil:
			l.wrong(err, e.line-1-above, e.line)
		}
	}
}

// wrong notes an error of the decoder, whose own lines begin at offset.
func (l *loader) wrong(err error, offset, line int) {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, _ := at.Position()
		line = max(line, row+offset)
	}
	l.problems = append(l.problems, Problem{l.file, line, strings.TrimPrefix(err.Error(), "toml: ")})
}

// expression is a key with its value, or the header of a table.
type expression struct {
	table, name string
	header      bool
	line        int
}

func (e expression) key() string {
	if e.table == "" {
		return e.name
	}
	return e.table + "." + e.name
}

// unknown says that nothing is called so, and what is.
func (e expression) unknown() string {
	if e.header {
		return fmt.Sprintf("there is no table [%s]; there are: %s", e.table, strings.Join(names(reflect.TypeFor[Config](), true), ", "))
	}
	t := reflect.TypeFor[Config]()
	where := ""
	if e.table != "" {
		where = "[" + e.table + "] "
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("toml") == e.table && f.Type.Kind() == reflect.Struct {
				return fmt.Sprintf("%shas no %q; it has: %s", where, e.name, strings.Join(names(f.Type, false), ", "))
			}
		}
		return fmt.Sprintf("%sis no table, so %q means nothing", where, e.name)
	}
	return fmt.Sprintf("there is no %q; there are: %s", e.name, strings.Join(names(t, false), ", "))
}

// names returns the keys, or the tables, of a struct.
func names(t reflect.Type, tables bool) []string {
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("toml"); tag != "-" && (f.Type.Kind() == reflect.Struct) == tables {
			list = append(list, tag)
		}
	}
	return list
}

// parse returns the expressions of a text that is TOML.
func parse(text []byte) []expression {
	var list []expression
	var table string
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		node := p.Expression()
		var words []string
		e := expression{line: 1}
		for k := node.Key(); k.Next(); {
			if words == nil {
				e.line = p.Shape(k.Node().Raw).Start.Line
			}
			words = append(words, string(k.Node().Data))
		}
		key := strings.Join(words, ".")
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = key
			e.table, e.header = key, true
		case unstable.KeyValue:
			e.table, e.name = table, key
		default:
			continue
		}
		list = append(list, e)
	}
	return list
}

// override puts the flags over the file.
func (l *loader) override(f Flags) {
	c := l.config
	set := func(key, flag string, to *string) {
		if flag != "" {
			*to = flag
			delete(l.lines, key)
		}
	}
	listen := func(key, flag string, to *[]string) {
		switch flag {
		case "":
			return
		case "off":
			*to = []string{}
		default:
			*to = []string{flag}
		}
		delete(l.lines, key)
	}
	set("data", f.Data, &c.Data)
	listen("listen.pop3", f.POP3, &c.Listen.POP3)
	listen("listen.pop3s", f.POP3S, &c.Listen.POP3S)
	listen("listen.lmtp", f.LMTP, &c.Listen.LMTP)
	set("tls.cert_file", f.TLSCert, &c.TLS.CertFile)
	set("tls.key_file", f.TLSKey, &c.TLS.KeyFile)
}
