// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
)

// checkKeeping looks at how long mail and traces are kept.
func (l *loader) checkKeeping() {
	c := l.config
	for key, d := range map[string]Duration{"keep_removed": c.KeepRemoved, "keep_trace": c.KeepTrace,
		"silent_devices": c.SilentDevices, "retention.age": c.Retention.Age} {
		if d < 0 {
			l.problem(key, "%s is negative; 0 switches it off", key)
		}
	}
	if c.Retention.Messages < 0 {
		l.problem("retention.messages", "retention.messages is negative; 0 means no bound")
	}
	days, err := c.expireDays()
	guaranteed := c.Retention.guaranteed()
	switch {
	case err != nil:
		l.problem("expire", "%v", err)
	case c.Expire != "" && guaranteed != never && (days == never || days > guaranteed):
		l.problem("expire", "expire is %q, and the rules under [retention] may remove mail sooner; leave it out, and what they guarantee is announced", c.Expire)
	}
}

// never is the age of mail that no rule removes.
const never = -1

// guaranteed returns the days that the rules leave every message; 0 where they
// may remove one at any time.
func (r Retention) guaranteed() int {
	switch {
	case r.Messages > 0 || r.Octets > 0:
		return 0
	case r.Age > 0:
		return int(r.Age / day)
	}
	return never
}

// ExpireDays returns what is announced about how long mail is kept: days, or -1
// for never; 0 announces nothing. It is what holds for everybody, the users
// with rules of their own included, whose rules are given.
func (c *Config) ExpireDays(own ...Retention) (int, error) {
	days, err := c.expireDays()
	if err != nil {
		return 0, err
	}
	said := c.Expire != ""
	for _, r := range append(own[:len(own):len(own)], c.Retention) {
		least := r.guaranteed()
		if least == never {
			continue
		}
		if !said || days == never || least < days {
			days, said = least, true
		}
	}
	return days, nil
}

func (c *Config) expireDays() (int, error) {
	switch c.Expire {
	case "":
		return 0, nil
	case "never":
		return never, nil
	}
	n, err := strconv.Atoi(c.Expire)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("expire is %q; it can be \"never\", a number of days such as \"30\", or \"\"", c.Expire)
	}
	return n, nil
}
