// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"restante.example/internal/config"
	"restante.example/pop3server"
)

// policies are what a configuration offers, as the server of POP3 takes it.
func policies(m config.Mechanisms) map[string]pop3server.Policy {
	p := map[string]pop3server.Policy{}
	for name, offer := range m.Offers() {
		p[name] = map[config.Offer]pop3server.Policy{
			config.OfferOff: pop3server.PolicyOff, config.OfferOn: pop3server.PolicyOn, config.OfferRequired: pop3server.PolicyRequired,
		}[offer]
	}
	return p
}
