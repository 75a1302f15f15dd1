// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import "sync"

// words are the values of a label. They come from the code; should it ever give
// a text of somebody else's, or ever new ones, they are counted as "other".
type words struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// Bounds of a label: how many values, and how long each.
const (
	maxWords = 32
	maxWord  = 32
)

func (w *words) label(word string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.seen[word]; known {
		return word
	}
	if len(w.seen) >= maxWords || !plain(word) {
		return "other"
	}
	if w.seen == nil {
		w.seen = make(map[string]struct{})
	}
	w.seen[word] = struct{}{}
	return word
}

// plain reports whether a word has the form of those in the code: letters,
// digits, blanks and hyphens.
func plain(word string) bool {
	if word == "" || len(word) > maxWord {
		return false
	}
	for _, c := range []byte(word) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == ' ', c == '-':
		default:
			return false
		}
	}
	return true
}

// tlsLabel names a version of TLS; "none" is clear text.
func tlsLabel(version string) string {
	switch version {
	case "":
		return "none"
	case "TLS 1.2", "TLS 1.3":
		return version
	}
	return "other"
}
