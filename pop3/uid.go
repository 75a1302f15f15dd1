// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3

import (
	"errors"
	"strconv"
)

// ValidUID reports whether s may stand in a UIDL reply: 1 to 70 characters
// from 0x21 to 0x7E. RFC 1939 section 7, UIDL.
func ValidUID(s string) bool {
	if len(s) == 0 || len(s) > MaxUID {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// ErrNumber is returned by ParseNumber for anything but a message number.
var ErrNumber = errors.New("pop3: a message number is a decimal number from 1 on")

// ParseNumber reads a message number: decimal, from 1 on, at most nine
// digits, nothing else around it. RFC 1939 section 5.
func ParseNumber(s string) (int, error) {
	if len(s) == 0 || len(s) > 9 {
		return 0, ErrNumber
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, ErrNumber
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, ErrNumber
	}
	return n, nil
}
