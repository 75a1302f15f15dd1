// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/message"

	"restante.example/internal/texts"
)

// console is the person at the other side.
type console struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	printer  *message.Printer
}

func newConsole(in io.Reader, out, err io.Writer, getenv func(string) string) (*console, error) {
	p, failed := texts.New(getenv, spanish)
	return &console{in: in, out: out, err: err, getenv: getenv, printer: p}, failed
}

// text returns a text in the person's language.
func (c *console) text(format string, args ...any) string { return c.printer.Sprintf(format, args...) }

// plural chooses between the text for one and that for any other number.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// say writes a line to standard output. A person who no longer reads is no error.
func (c *console) say(format string, args ...any) {
	fmt.Fprintln(c.out, c.printer.Sprintf(format, args...))
}

// warn writes a line to standard error.
func (c *console) warn(format string, args ...any) {
	fmt.Fprintln(c.err, c.printer.Sprintf(format, args...))
}

// fail returns an error that ends the program with a status.
func (c *console) fail(code int, format string, args ...any) error {
	return &exitError{code, c.printer.Sprintf(format, args...)}
}

// report shows an error and returns the status that the process ends with.
func (c *console) report(err error) int {
	if err == nil {
		return 0
	}
	code, text := exitFailed, err.Error()
	var e *exitError
	if errors.As(err, &e) {
		code, text = e.code, e.text
	}
	if text != "" {
		fmt.Fprintln(c.err, "restante: "+text)
	}
	return code
}
