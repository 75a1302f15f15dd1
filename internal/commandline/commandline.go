// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package commandline reads the command lines of both programs.
package commandline

import (
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Program is what a program says of itself.
type Program struct {
	// Name is what it is called, and Description what it is for.
	Name, Description string
	// Commands is a struct, without values: a field for each command, and a
	// field Help of the type HelpFlag.
	Commands any
}

// ErrHelp ends the parsing once help has been shown.
var ErrHelp = errors.New("help was shown")

// HelpFlag shows the help of the command that stands before it.
type HelpFlag bool

// BeforeReset is called by kong before it looks for missing arguments.
func (HelpFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return ErrHelp
}

// Parse reads a command line, without the name of the program. What it returns
// runs the command; options bind what the commands need. The error is ErrHelp
// when help was asked for and is written, and else says what is wrong with the
// line. Commands that are wrong themselves make it panic.
func (p Program) Parse(args []string, stdout, stderr io.Writer, options ...kong.Option) (*kong.Context, error) {
	commands := reflect.TypeOf(p.Commands)
	if len(args) > 0 {
		commands = only(commands, args[0])
	}
	return p.parse(commands, args, stdout, stderr, options...)
}

func (p Program) parse(commands reflect.Type, args []string, stdout, stderr io.Writer, options ...kong.Option) (*kong.Context, error) {
	parser := kong.Must(reflect.New(commands).Interface(), append([]kong.Option{
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Writers(stdout, stderr),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	}, options...)...)
	return parser.Parse(args)
}

// only leaves one command of all, and what is none. To describe every command
// takes longer than many a command itself, and a mail server begins a process
// for each message that it delivers through a pipe. Commands that have no
// command of this name are returned as they are.
func only(commands reflect.Type, name string) reflect.Type {
	var fields []reflect.StructField
	found := false
	for i := range commands.NumField() {
		field := commands.Field(i)
		if _, ok := field.Tag.Lookup("cmd"); ok {
			if nameOf(field) != name {
				continue
			}
			found = true
		}
		fields = append(fields, field)
	}
	if !found {
		return commands
	}
	return reflect.StructOf(fields)
}

func nameOf(command reflect.StructField) string {
	if name := command.Tag.Get("name"); name != "" {
		return name
	}
	return strings.ToLower(command.Name)
}
