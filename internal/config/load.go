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
	"strconv"
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
	l, err := read(file, flags)
	if err != nil {
		return nil, err
	}
	l.complete(getenv)
	l.check()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, l.problems
	}
	return l.config, nil
}

// Partly returns what can be read of a configuration that has mistakes. It is nil
// where the file and the flags do not say the data directory: the default may be
// that of somebody else.
func Partly(file string, flags Flags, getenv func(string) string) *Config {
	l, err := read(file, flags)
	if err != nil || l.config.Data == "" {
		return nil
	}
	l.complete(getenv)
	return l.config
}

// read reads a file and puts the flags over it.
func read(file string, flags Flags) (*loader, error) {
	l := &loader{config: Default(), lines: make(map[string]int)}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if l.file, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		l.config.File = l.file
		l.decode(text)
	}
	l.listenersSaid(flags)
	l.override(flags)
	return l, nil
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
	for table := key; !ok; line, ok = l.lines[table] {
		cut := strings.LastIndexByte(table, '.')
		if cut < 0 {
			break
		}
		table = table[:cut]
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
		into, table, ok := l.place(e)
		if !ok {
			continue
		}
		piece := strings.Join(lines[e.line-1:end], "")
		above := 0
		switch {
		case e.header && e.array:
			piece = "" // a new element, which place has made
		case e.header && table != e.table:
			// The table of an element, whose header the decoder has never seen.
			piece = "[" + table + "]\n"
		case table != "" && !e.header:
			piece, above = "["+table+"]\n"+piece, 1
		}
		if key, ok := l.key(e); ok {
			l.lines[key] = e.line
		}
		d := toml.NewDecoder(strings.NewReader(piece))
		d.DisallowUnknownFields()
		err := d.Decode(into)
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
	array       bool // the header of one more element of an array of tables
	line        int
}

// elements returns the array of tables that a table belongs to, what its
// elements are called, and what the table is called within one.
func (l *loader) elements(table string) (list reflect.Value, name, within string, ok bool) {
	first, within, _ := strings.Cut(table, ".")
	f, ok := field(reflect.TypeFor[Config](), first)
	if !ok || !isTables(f.Type) {
		return reflect.Value{}, "", "", false
	}
	return reflect.ValueOf(l.config).Elem().FieldByIndex(f.Index), f.Tag.Get("toml"), within, true
}

// place returns what an expression is decoded into, and the name of its table
// in there: the configuration, or the latest element of an array of tables,
// which a header of one more makes. It is not ok where that is none.
func (l *loader) place(e expression) (into any, table string, ok bool) {
	list, name, within, isList := l.elements(e.table)
	switch {
	case !isList:
		return l.config, e.table, true
	case e.header && e.array && within == "":
		list.Set(reflect.Append(list, reflect.Zero(list.Type().Elem())))
	case e.header && within == "", list.Len() == 0:
		if e.header {
			l.problems = append(l.problems, Problem{l.file, e.line, fmt.Sprintf("[%s] is written [[%s]], once for each", e.table, name)})
		}
		return nil, "", false
	}
	return list.Index(list.Len() - 1).Addr().Interface(), within, true
}

// key is what problem knows an expression by; the elements of an array are
// counted. Headers of other tables have none, because a flag may override what
// is below them.
func (l *loader) key(e expression) (key string, ok bool) {
	list, name, within, isList := l.elements(e.table)
	if isList {
		return strings.Join(slices.DeleteFunc([]string{name, strconv.Itoa(list.Len() - 1), within, e.name},
			func(word string) bool { return word == "" }), "."), true
	}
	return strings.TrimPrefix(e.table+"."+e.name, "."), !e.header
}

// unknown says that nothing is called so, and what is.
func (e expression) unknown() string {
	if e.header && !strings.Contains(e.table, ".") {
		return fmt.Sprintf("there is no table [%s]; there are: %s", e.table, strings.Join(names(reflect.TypeFor[Config](), true), ", "))
	}
	t := reflect.TypeFor[Config]()
	if e.table == "" {
		return fmt.Sprintf("there is no %q; there are: %s", e.name, strings.Join(names(t, false), ", "))
	}
	for word := range strings.SplitSeq(e.table, ".") {
		f, ok := field(t, word)
		switch {
		case ok && f.Type.Kind() == reflect.Struct:
			t = f.Type
		case ok && isTables(f.Type):
			t = f.Type.Elem()
		case e.header:
			return fmt.Sprintf("there is no table [%s]", e.table)
		default:
			return fmt.Sprintf("[%s] is no table, so %q means nothing", e.table, e.name)
		}
	}
	return fmt.Sprintf("[%s] has no %q; it has: %s", e.table, e.name, strings.Join(append(names(t, false), names(t, true)...), ", "))
}

// field returns the field of a struct for a key.
func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); strings.EqualFold(f.Tag.Get("toml"), key) {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// isTables reports whether a type is an array of tables.
func isTables(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// names returns the keys, or the tables, of a struct.
func names(t reflect.Type, tables bool) []string {
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("toml")
		if tag == "" || tag == "-" || (f.Type.Kind() == reflect.Struct || isTables(f.Type)) != tables {
			continue
		}
		list = append(list, tag)
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
			e.table, e.header, e.array = key, true, node.Kind == unstable.ArrayTable
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
