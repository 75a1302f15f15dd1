// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Days is a duration that may be written in days and weeks: "30d", "2w",
// "12h", "90s". "forever" is 0.
type Days time.Duration

// UnmarshalText reads a duration.
func (d *Days) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "forever" {
		*d = 0
		return nil
	}
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil || n == 0 || n > 36500 {
				return fmt.Errorf("%q is no time; write it as in 30d, 2w, 12h or 90s", s)
			}
			*d = Days(time.Duration(n) * length)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is no time; write it as in 30d, 2w, 12h or 90s", s)
	}
	*d = Days(v)
	return nil
}

func (d Days) String() string { return time.Duration(d).String() }

// Size is a number of octets: "500", "64MiB", "25MB".
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range []struct {
		name   string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"", 1}} {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || int64(n) > (1<<62)/u.factor {
			break
		}
		*s = Size(int64(n) * u.factor)
		return nil
	}
	return fmt.Errorf("%q is no size; write it as in 500, 64MiB or 25MB", text)
}
