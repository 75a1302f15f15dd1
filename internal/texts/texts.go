// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

// Package texts speaks to people in their language: English, or Spanish where
// the environment asks for it. The English text of a message is its key; each
// command brings the table of its translations. Package textstest checks that
// none is missing.
//
// Numbers are written as the language writes them (1,234 or 1.234). What is no
// quantity, such as a port, is therefore handed over as a string.
package texts

import (
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// Table has the translations of messages, by their English text. The verbs of
// package fmt in it can be reordered as in %[2]s.
type Table map[string]string

// Language returns the language that the environment asks for: the first of
// LC_ALL, LC_MESSAGES and LANG that is set decides, as POSIX says.
func Language(getenv func(string) string) language.Tag {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		// The form is language[_territory][.codeset][@modifier].
		lang, _, _ := strings.Cut(strings.ToLower(value), "_")
		lang, _, _ = strings.Cut(lang, ".")
		lang, _, _ = strings.Cut(lang, "@")
		if lang == "es" {
			return language.Spanish
		}
		return language.English
	}
	return language.English
}

// New returns a printer for the language of the environment. A message that
// the table does not have comes out in English.
func New(getenv func(string) string, spanish Table) (*message.Printer, error) {
	c := catalog.NewBuilder(catalog.Fallback(language.English))
	for key, text := range spanish {
		if err := c.SetString(language.Spanish, key, text); err != nil {
			return nil, err
		}
	}
	return message.NewPrinter(Language(getenv), message.Catalog(c)), nil
}
