// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3

import (
	"strconv"
	"strings"
	"time"
)

// Names of capabilities, the first word of a line in a CAPA reply.
// RFC 2449 section 6 unless another is named.
const (
	CapTop            = "TOP"
	CapUser           = "USER"
	CapSASL           = "SASL"
	CapRespCodes      = "RESP-CODES"
	CapLoginDelay     = "LOGIN-DELAY"
	CapPipelining     = "PIPELINING"
	CapExpire         = "EXPIRE"
	CapUIDL           = "UIDL"
	CapImplementation = "IMPLEMENTATION"
	CapSTLS           = "STLS"           // RFC 2595 section 4
	CapAuthRespCode   = "AUTH-RESP-CODE" // RFC 3206 section 6
	CapUTF8           = "UTF8"           // RFC 6856 section 2
	CapLang           = "LANG"           // RFC 6856 section 3
)

// Capabilities is what a server announced: the arguments of each capability
// under its name in upper case. A nil map means that nothing was announced.
type Capabilities map[string][]string

// Add notes one line of a CAPA reply. Empty lines are passed over, and the
// arguments of a name that comes twice are put together.
func (c Capabilities) Add(line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	name := strings.ToUpper(words[0])
	c[name] = append(c[name], words[1:]...)
}

// Has reports whether the capability was announced; with arguments, whether
// each of them was, in any letter case.
func (c Capabilities) Has(name string, args ...string) bool {
	got, ok := c[strings.ToUpper(name)]
	if !ok {
		return false
	}
	for _, want := range args {
		found := false
		for _, g := range got {
			found = found || strings.EqualFold(g, want)
		}
		if !found {
			return false
		}
	}
	return true
}

// Mechanisms returns the SASL mechanisms that were announced, in upper case.
// RFC 5034 section 3.
func (c Capabilities) Mechanisms() []string {
	list := make([]string, 0, len(c[CapSASL]))
	for _, m := range c[CapSASL] {
		list = append(list, strings.ToUpper(m))
	}
	return list
}

// LoginDelay returns the least time between two sign-ins of the same user, or
// 0 where none was announced. RFC 2449 section 6.5.
func (c Capabilities) LoginDelay() time.Duration {
	args := c[CapLoginDelay]
	if len(args) == 0 {
		return 0
	}
	seconds, err := strconv.ParseUint(args[0], 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// Expire returns for how many days mail is kept after it was retrieved and
// whether that was announced; never is true where the server keeps it for
// ever. Days 0 means that RETR removes. RFC 2449 section 6.7.
func (c Capabilities) Expire() (days int, never, announced bool) {
	args := c[CapExpire]
	if len(args) == 0 {
		return 0, false, false
	}
	if strings.EqualFold(args[0], "NEVER") {
		return 0, true, true
	}
	n, err := strconv.ParseUint(args[0], 10, 31)
	if err != nil {
		return 0, false, false
	}
	return int(n), false, true
}
