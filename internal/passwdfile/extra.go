// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwdfile

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"restante.example/internal/directory"
	"restante.example/maildrop"
)

// refused are extra fields that let people in or keep them out in ways that this
// server does not have. Passing one over would be a hole.
var refused = map[string]string{
	"nopassword": "would let everybody in", "proxy": "sends the user to another server", "proxy_maybe": "sends the user to another server",
	"host": "sends the user to another server", "hostip": "sends the user to another server", "destuser": "sends the user to another server",
	"user": "gives the user another name", "username": "gives the user another name", "login_user": "gives the user another name",
	"domain": "gives the user another name", "userdb_user": "gives the user another name",
	"master": "is for signing in as somebody else", "master_user": "is for signing in as somebody else",
	"allow_real_nets": "limits from where the user may sign in", "delay_until": "limits when the user may sign in",
	"noauthenticate": "leaves the password to somebody else", "pass": "is another password", "password": "is another password",
}

// extra reads one extra field, KEY or KEY=VALUE.
func (p *parser) extra(o *directory.Outside, field string) {
	key, value, _ := strings.Cut(field, "=")
	key = strings.ToLower(key)
	switch key {
	case "nologin":
		// Older versions of Dovecot look at nothing but whether it is there.
		o.NoLogin = true
	case "allow_nets":
		if err := allowNets(o, value); err != nil {
			p.unclear(o, err.Error())
		}
	case "userdb_quota_rule":
		if err := quotaRule(o, value); err != nil {
			p.note(true, err.Error())
		}
	case "userdb_quota_storage_size":
		n, err := amount(value, 1)
		if err != nil {
			p.note(true, err.Error())
			return
		}
		quotaOf(o).Octets = n
	case "userdb_quota_message_count":
		n, err := amount(value, 1)
		if err != nil {
			p.note(true, err.Error())
			return
		}
		quotaOf(o).Messages = int(n)
	default:
		if why, ok := refused[key]; ok {
			p.unclear(o, fmt.Sprintf("the field %s %s, which this server does not do", key, why))
			return
		}
		p.note(false, fmt.Sprintf("the extra field %s is not used here", shown(key)))
	}
}

// shown is the name of an extra field as people may be shown it.
func shown(key string) string {
	if len(key) > 40 {
		key = key[:40] + "..."
	}
	return strconv.QuoteToASCII(key)
}

// maxNets is how many networks a line may name.
const maxNets = 1000

var errNets = errors.New("its allow_nets is not understood; write addresses and networks such as 192.0.2.0/24, or local, with commas between")

// allowNets reads networks, addresses, and "local", which is every connection
// without an address.
func allowNets(o *directory.Outside, value string) error {
	words := strings.Split(value, ",")
	if len(words) > maxNets {
		return errNets
	}
	for _, word := range words {
		if word == "local" {
			o.Local = true
			continue
		}
		net, err := netip.ParsePrefix(word)
		if err != nil {
			address, err := netip.ParseAddr(word)
			if err != nil || address.Zone() != "" {
				return errNets
			}
			net = netip.PrefixFrom(address, address.BitLen())
		}
		if net.Addr().Is4In6() {
			return errNets
		}
		o.Nets = append(o.Nets, net.Masked())
	}
	return nil
}

func quotaOf(o *directory.Outside) *maildrop.Quota {
	if o.Quota == nil {
		o.Quota = &maildrop.Quota{}
	}
	return o.Quota
}

var errQuota = errors.New("the quota is not understood, so it does not hold; write it as in userdb_quota_rule=*:storage=1G:messages=1000")

// quotaRule reads the rule for all mail, "*:" with storage=, bytes= and messages=
// behind it; 0 is no limit.
func quotaRule(o *directory.Outside, rule string) error {
	limits, ok := strings.CutPrefix(rule, "*:")
	if !ok {
		return errors.New("a quota for a folder is not used here: there are none")
	}
	var q maildrop.Quota
	for limit := range strings.SplitSeq(limits, ":") {
		name, value, _ := strings.Cut(limit, "=")
		switch name {
		case "storage":
			n, err := amount(value, 1<<10)
			if err != nil {
				return err
			}
			q.Octets = n
		case "bytes":
			n, err := amount(value, 1)
			if err != nil {
				return err
			}
			q.Octets = n
		case "messages":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return errQuota
			}
			q.Messages = int(n)
		default:
			return errQuota
		}
	}
	o.Quota = &q
	return nil
}

// amount reads a number with a unit behind it, or else counts in the unit that
// is given, in octets.
func amount(value string, unit int64) (int64, error) {
	digits := strings.TrimRight(value, "bBkKmMgGtTi")
	switch strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(value[len(digits):]), "b"), "i")) {
	case "k":
		unit = 1 << 10
	case "m":
		unit = 1 << 20
	case "g":
		unit = 1 << 30
	case "t":
		unit = 1 << 40
	case "":
		if value != digits {
			unit = 1
		}
	default:
		return 0, errQuota
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > (1<<62)/unit {
		return 0, errQuota
	}
	return int64(n) * unit, nil
}
