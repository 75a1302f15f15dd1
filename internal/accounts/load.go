// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Problem is a mistake in the file.
type Problem struct {
	File string
	Line int
	Text string
}

// Problems is all that is wrong with the file.
type Problems []Problem

// Error has a line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = fmt.Sprintf("%s:%d: %s", one.File, one.Line, one.Text)
	}
	return strings.Join(lines, "\n")
}

// DefaultFile is where the accounts are.
func DefaultFile(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "restante", "config.toml"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "restante", "config.toml"), nil
	}
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "restante", "config.toml"), err
}

// DefaultState is where journals are.
func DefaultState(getenv func(string) string) (string, error) {
	if dir := getenv("STATE_DIRECTORY"); filepath.IsAbs(dir) { // of systemd
		return dir, nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "restante"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "restante"), nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "restante", "state"), err
}

// loader reads the file expression by expression, so that one wrong value does
// not hide the next.
type loader struct {
	file     string
	home     string
	defaults Settings
	set      map[string]map[string]int // table, key: line
	accounts map[string]*Settings
	order    []string
	problems Problems
}

const (
	defaultsTable = "defaults"
	accountPrefix = "accounts."
)

// Load reads the accounts of a file, in its order, and checks all of them. The
// error is of type Problems, or says why the file cannot be read.
func Load(file, home string) ([]*Account, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if file, err = filepath.Abs(file); err != nil {
		return nil, err
	}
	l := &loader{file: file, home: home, set: make(map[string]map[string]int), accounts: make(map[string]*Settings)}
	l.decode(text)
	list := l.complete()
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		return nil, l.problems
	}
	return list, nil
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{l.file, line, fmt.Sprintf(format, args...)})
}

func (l *loader) decode(text []byte) {
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		line := 0
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ = at.Position()
		}
		l.problem(line, "%s", strings.TrimPrefix(err.Error(), "toml: "))
		return // it is no TOML: nothing in it can be relied on
	}
	lines := strings.SplitAfter(string(text), "\n")
	list := parse(text)
	for i, e := range list {
		if e.header {
			l.table(e)
			continue
		}
		end := len(lines)
		if i+1 < len(list) {
			end = list[i+1].line - 1
		}
		to := l.settings(e)
		if to == nil {
			continue
		}
		l.set[e.table][e.key] = e.line
		d := toml.NewDecoder(strings.NewReader(strings.Join(lines[e.line-1:end], "")))
		d.DisallowUnknownFields()
		err := d.Decode(to)
		var unknown *toml.StrictMissingError
		switch {
		case errors.As(err, &unknown):
			l.problem(e.line, "there is no %q; there are: %s", e.key, strings.Join(keys(), ", "))
		case err != nil:
			l.problem(e.line, "%s: %s", e.key, strings.TrimPrefix(err.Error(), "toml: "))
		}
	}
}

// table notes the header of a table.
func (l *loader) table(e expression) {
	name, isAccount := strings.CutPrefix(e.table, accountPrefix)
	switch {
	case e.table == defaultsTable:
	case isAccount && name != "":
		if l.accounts[name] == nil {
			l.accounts[name] = new(Settings)
			l.order = append(l.order, name)
		}
	default:
		l.problem(e.line, "there is no table [%s]; there are [defaults] and [accounts.NAME]", e.table)
		return
	}
	l.set[e.table] = map[string]int{"": e.line}
}

// settings returns where a key belongs, or nil.
func (l *loader) settings(e expression) *Settings {
	if e.table == defaultsTable {
		return &l.defaults
	}
	if name, ok := strings.CutPrefix(e.table, accountPrefix); ok {
		return l.accounts[name]
	}
	if e.table == "" {
		l.problem(e.line, "%q stands in no table; write it below [defaults] or [accounts.NAME]", e.key)
	}
	return nil
}

// complete puts each account's settings over the defaults and checks them.
func (l *loader) complete() []*Account {
	var list []*Account
	for _, name := range l.order {
		a := &Account{Name: name, Settings: *l.accounts[name]}
		own, shared := l.set[accountPrefix+name], l.set[defaultsTable]
		inherit(&a.Settings, &l.defaults, own)
		for _, file := range []*string{&a.PasswordFile, &a.CA, &a.ClientCert, &a.ClientKey} {
			*file = l.path(*file)
		}
		a.To = slices.Clone(a.To)
		for i, to := range a.To {
			// The ID of a destination must not depend on where restante is started.
			if kind, path, _ := strings.Cut(to, ":"); kind == "maildir" || kind == "mbox" || kind == "eml" {
				a.To[i] = kind + ":" + l.path(path)
			}
		}
		a.complete()
		seen := make(map[string]bool) // mistakes in defaults are told once
		a.check(ToCollect, func(key, format string, args ...any) {
			line := cmp.Or(own[key], shared[key], own[""])
			text := "account " + name + ": " + key + ": " + fmt.Sprintf(format, args...)
			if !seen[text] {
				seen[text] = true
				l.problem(line, "%s", text)
			}
		})
		list = append(list, a)
	}
	if len(l.order) == 0 && len(l.problems) == 0 {
		l.problem(1, "there is no account in it; add one as [accounts.NAME]")
	}
	for _, table := range slices.Sorted(maps.Keys(l.set)) {
		if line := l.set[table]["password"]; line > 0 {
			if err := checkPrivate(l.file); err != nil {
				l.problem(line, "%v", err)
			}
			break
		}
	}
	l.checkCommands()
	return list
}

// checkCommands refuses commands in a file that others have written.
func (l *loader) checkCommands() {
	info, err := os.Stat(l.file)
	if err == nil {
		err = checkTrust(info)
	}
	if err == nil {
		return
	}
	for table, set := range l.set {
		s := &l.defaults
		if name, ok := strings.CutPrefix(table, accountPrefix); ok {
			s = l.accounts[name]
		}
		isPipe := func(to string) bool { return strings.HasPrefix(to, "pipe:") }
		for key, is := range map[string]bool{
			"password_command": s.PasswordCommand != "", "token_command": s.TokenCommand != "", "to": slices.ContainsFunc(s.To, isPipe),
		} {
			if is {
				l.problem(set[key], "%s: %v", key, err)
			}
		}
	}
}

// path makes a path relative to the file, or to the home directory.
func (l *loader) path(name string) string {
	if rest, ok := strings.CutPrefix(filepath.ToSlash(name)+"/", "~/"); ok && l.home != "" {
		return filepath.Join(l.home, rest)
	}
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(l.file), name)
}

// passwordKeys exclude each other: one of an account's own takes the place of
// whichever the defaults have.
var passwordKeys = []string{"password", "password_command", "password_file", "password_env", "keyring", "netrc", "token_command"}

// keepKeys do too.
var keepKeys = []string{"delete", "keep", "keep_messages", "keep_octets"}

// inherit copies what the account does not set itself.
func inherit(to, from *Settings, own map[string]int) {
	blocked := make(map[string]bool)
	for _, group := range [][]string{passwordKeys, keepKeys} {
		if slices.ContainsFunc(group, func(k string) bool { return own[k] > 0 }) {
			for _, k := range group {
				blocked[k] = true
			}
		}
	}
	t, f := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range t.NumField() {
		key := t.Type().Field(i).Tag.Get("toml")
		if own[key] == 0 && !blocked[key] {
			t.Field(i).Set(f.Field(i))
		}
	}
}

// keys returns all that can be set.
func keys() []string {
	t := reflect.TypeFor[Settings]()
	list := make([]string, t.NumField())
	for i := range list {
		list[i] = t.Field(i).Tag.Get("toml")
	}
	return list
}

// expression is a key with its value, or the header of a table.
type expression struct {
	table, key string
	header     bool
	line       int
}

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
		name := strings.Join(words, ".")
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = name
			e.table, e.header = name, true
		case unstable.KeyValue:
			e.table, e.key = table, name
		default:
			continue
		}
		list = append(list, e)
	}
	return list
}
