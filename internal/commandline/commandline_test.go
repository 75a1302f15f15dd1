// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package commandline

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

type sayCommand struct {
	Word string `arg:"" help:"What to say."`
	Loud bool   `help:"Say it loud."`
}

func (c *sayCommand) Run(out *bytes.Buffer) error {
	word := c.Word
	if c.Loud {
		word = strings.ToUpper(word)
	}
	out.WriteString(word)
	return nil
}

type countCommands struct {
	Up struct {
		To int `arg:""`
	} `cmd:"" help:"Count up."`
}

var program = Program{Name: "speak", Description: "It speaks.", Commands: struct {
	Help  HelpFlag      `short:"h" help:"Show help."`
	Say   sayCommand    `cmd:"" help:"Say a word."`
	Count countCommands `cmd:"" help:"Count."`
	Quiet sayCommand    `cmd:"" name:"say-nothing" help:"Say nothing."`
}{}}

func TestRun(t *testing.T) {
	var out, errs, said bytes.Buffer
	for _, args := range [][]string{{"say", "--loud", "hello"}, {"say", "hello", "--loud"}, {"say-nothing", "HELLO"}} {
		said.Reset()
		parsed, err := program.Parse(args, &out, &errs, kong.Bind(&said))
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		if err := parsed.Run(); err != nil || said.String() != "HELLO" {
			t.Errorf("%q said %q, %v", args, &said, err)
		}
	}
	if out.Len()+errs.Len() > 0 {
		t.Errorf("it wrote %q and %q", &out, &errs)
	}
}

// What is said of a line is the same whether all commands are described or only
// the one that the line begins with.
func TestSayings(t *testing.T) {
	for line, want := range map[string]string{
		"--help":          "say-nothing    Say nothing.",
		"-h say hello":    "Usage: speak say <word> [flags]",
		"say --help":      "--loud    Say it loud.",
		"say a b -h":      "unexpected argument b",
		"count --help":    "count up    Count up.",
		"count up -h":     "Usage: speak count up <to>",
		"say-nothing -h":  "Usage: speak say-nothing <word> [flags]",
		"":                "expected one of",
		"shout":           "unexpected argument shout",
		"sa":              "did you mean",
		"Say hello":       "unexpected argument Say",
		"say":             `expected "<word>"`,
		"say a b":         "unexpected argument b",
		"say a count":     "unexpected argument count",
		"say a --lout":    `unknown flag --lout, did you mean "--loud"?`,
		"count":           `expected "up"`,
		"count down":      "unexpected argument down",
		"count up many":   "expected a valid 64 bit int",
		"say-nothing":     `expected "<word>"`,
		"--loud say a":    "unknown flag --loud",
		"say count up 10": "unexpected argument up",
	} {
		args := strings.Fields(line)
		var out, errs, outOfAll, errsOfAll bytes.Buffer
		_, err := program.Parse(args, &out, &errs)
		_, errOfAll := program.parse(reflect.TypeOf(program.Commands), args, &outOfAll, &errsOfAll)
		if err == nil || errOfAll == nil {
			t.Errorf("%q is no mistake: %v, %v", line, err, errOfAll)
			continue
		}
		if !strings.Contains(out.String()+err.Error(), want) {
			t.Errorf("%q: %v\n%s\nwant %s", line, err, &out, want)
		}
		if err.Error() != errOfAll.Error() || out.String() != outOfAll.String() || errs.String() != errsOfAll.String() {
			t.Errorf("%q: %v\n%s\nwith all commands: %v\n%s", line, err, &out, errOfAll, &outOfAll)
		}
		if help := errors.Is(err, ErrHelp); help != (out.Len() > 0) {
			t.Errorf("%q: help %v, and wrote\n%s", line, help, &out)
		}
	}
}
