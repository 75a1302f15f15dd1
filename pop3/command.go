// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3

import (
	"bytes"
	"errors"
)

// Words that begin a command. RFC 1939 unless another is named.
const (
	CmdUser = "USER"
	CmdPass = "PASS"
	CmdQuit = "QUIT"
	CmdStat = "STAT"
	CmdList = "LIST"
	CmdRetr = "RETR"
	CmdDele = "DELE"
	CmdNoop = "NOOP"
	CmdRset = "RSET"
	CmdTop  = "TOP"
	CmdUIDL = "UIDL"
	CmdAPOP = "APOP"
	CmdCapa = "CAPA" // RFC 2449 section 5
	CmdSTLS = "STLS" // RFC 2595 section 4
	CmdAuth = "AUTH" // RFC 5034 section 4
	CmdUTF8 = "UTF8" // RFC 6856 section 2.1
	CmdLang = "LANG" // RFC 6856 section 3
)

// Command is a command line, taken apart.
type Command struct {
	// Word is what the line begins with, in upper case.
	Word string
	// Arg is what follows behind one blank, as it came: a password may begin
	// and end with blanks. It is part of the line that was parsed.
	Arg []byte
}

// ErrCommand is returned by ParseCommand for a line that is no command.
var ErrCommand = errors.New("pop3: not a command line")

// ParseCommand takes a command line apart, which comes without its line end.
// The word is in any letter case and has up to 16 letters and digits; a line
// with a NUL is no command. RFC 1939 section 3.
func ParseCommand(line []byte) (Command, error) {
	word, arg, _ := bytes.Cut(line, []byte{' '})
	if len(word) == 0 || len(word) > 16 || bytes.IndexByte(arg, 0) >= 0 {
		return Command{}, ErrCommand
	}
	var upper [16]byte
	for i, c := range word {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		default:
			return Command{}, ErrCommand
		}
		upper[i] = c
	}
	return Command{Word: intern(upper[:len(word)]), Arg: arg}, nil
}

// intern returns the word as a string, without allocating for those that exist.
func intern(word []byte) string {
	switch string(word) {
	case CmdUser:
		return CmdUser
	case CmdPass:
		return CmdPass
	case CmdQuit:
		return CmdQuit
	case CmdStat:
		return CmdStat
	case CmdList:
		return CmdList
	case CmdRetr:
		return CmdRetr
	case CmdDele:
		return CmdDele
	case CmdNoop:
		return CmdNoop
	case CmdRset:
		return CmdRset
	case CmdTop:
		return CmdTop
	case CmdUIDL:
		return CmdUIDL
	case CmdCapa:
		return CmdCapa
	}
	return string(word)
}

// Words returns the argument's words. Blanks around and between them do not
// count, so that "LIST " is LIST without an argument. More than max words are
// reported as false.
func (c Command) Words(dst []string, max int) ([]string, bool) {
	rest := c.Arg
	for {
		rest = bytes.TrimLeft(rest, " ")
		if len(rest) == 0 {
			return dst, true
		}
		if len(dst) == max {
			return dst, false
		}
		word, after, _ := bytes.Cut(rest, []byte{' '})
		dst = append(dst, string(word))
		rest = after
	}
}
