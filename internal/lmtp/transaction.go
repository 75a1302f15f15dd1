// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package lmtp

import (
	"errors"
	"strings"

	"restante.example/internal/intake"
)

// mail answers MAIL FROM. RFC 5321 section 4.1.1.2.
func (s *session) mail(arg string) {
	switch {
	case s.client == "":
		s.bad(503, "5.5.1", "Say LHLO first")
		return
	case s.tx != nil:
		s.bad(503, "5.5.1", "A transaction has begun, say RSET to drop it")
		return
	}
	path, rest, err := cutPath(arg, "FROM:")
	if err != nil {
		s.bad(501, "5.1.7", "Write MAIL FROM:<address>")
		return
	}
	params, err := parseMailParams(rest)
	if err != nil {
		s.badParam(err)
		return
	}
	var sender string
	if path != "" {
		sender, err = ParseAddress(path, params.utf8)
		if err != nil {
			s.badAddress(err, "5.1.7")
			return
		}
	}
	s.opts = s.server.opts.Load()
	tx, err := s.opts.Intake.Begin(intake.Envelope{
		Sender: sender, Size: params.size, SMTPUTF8: params.utf8, Origin: origin(s.client, s.remote),
	})
	if err != nil {
		s.log.Info("lmtp: sender refused", "from", sender, "size", params.size, "result", intake.ClassOf(err).String())
		s.replyClass(intake.ClassOf(err))
		return
	}
	s.reset()
	s.tx, s.utf8 = tx, params.utf8
	s.reply(250, "2.1.0", "Sender OK")
}

// origin says where a message comes from: the name that the client has given
// itself and its address, which is said once where it is the name too.
func origin(client, remote string) string {
	at := "[" + remote + "]"
	if client == at || client == remote || strings.EqualFold(client, "[IPv6:"+remote+"]") {
		return at
	}
	return client + " " + at
}

// rcpt answers RCPT TO. RFC 5321 section 4.1.1.3.
func (s *session) rcpt(arg string) {
	if s.tx == nil {
		s.bad(503, "5.5.1", "Say MAIL first")
		return
	}
	path, rest, err := cutPath(arg, "TO:")
	if err != nil || path == "" {
		s.bad(501, "5.1.3", "Write RCPT TO:<address>")
		return
	}
	if rest != "" {
		// None of the extensions that are announced has one.
		s.badParam(errUnknownParam)
		return
	}
	address, err := ParseAddress(path, s.utf8)
	if err != nil {
		s.badAddress(err, "5.1.3")
		return
	}
	limit := s.opts.Limits.Recipients
	if s.tx.Recipients() >= limit || s.refused >= limit {
		// RFC 5321 section 4.5.3.1.10: the sender sends the rest another time.
		s.replyClass(intake.TooMany)
		return
	}
	if err := s.tx.AddRecipient(s.server.ctx, address); err != nil {
		s.refused++
		class := intake.ClassOf(err)
		s.log.Info("lmtp: recipient refused", "from", s.tx.Sender(), "to", address, "result", class.String(), "error", err)
		s.replyClass(class)
		return
	}
	s.reply(250, "2.1.5", "Recipient OK")
}

func (s *session) badParam(err error) {
	if errors.Is(err, errUnknownParam) {
		s.bad(555, "5.5.4", "Parameter not known or not offered")
		return
	}
	s.bad(501, "5.5.4", "Parameter wrong or given twice")
}

func (s *session) badAddress(err error, enhanced string) {
	if errors.Is(err, errNeedsUTF8) {
		// RFC 6531 section 3.5
		s.bad(553, "5.6.7", "An address that is not ASCII needs SMTPUTF8")
		return
	}
	s.bad(501, enhanced, "Address syntax wrong")
}

// replyClass tells a client what a class means. The texts are the same for
// everybody and say nothing of the server's inside.
func (s *session) replyClass(class intake.Class) {
	switch class {
	case intake.Delivered:
		s.reply(250, "2.1.5", "Delivered")
	case intake.NoUser:
		s.reply(550, "5.1.1", "No such user here")
	case intake.BadAddress:
		s.reply(553, "5.1.3", "Address cannot be used here")
	case intake.TooLarge:
		s.reply(552, "5.3.4", "Message too large")
	case intake.OverQuota:
		s.reply(452, "4.2.2", "Mailbox full")
	case intake.OverQuotaRefused:
		s.reply(552, "5.2.2", "Mailbox full") // RFC 3463 section 3.3
	case intake.NoSpace:
		s.reply(452, "4.3.1", "No space left for mail, try later")
	case intake.TooMany:
		s.reply(452, "4.5.3", "Too many recipients, send the rest apart")
	default:
		s.reply(451, "4.3.0", "Cannot be done now, try later")
	}
}

// logResult writes the line of one recipient.
func (s *session) logResult(r intake.Result) {
	ids := make([]string, len(r.Maildrops))
	for i, id := range r.Maildrops {
		ids[i] = string(id)
	}
	args := []any{
		"from", s.tx.Sender(), "to", r.Recipient, "maildrop", strings.Join(ids, ","),
		"octets", r.Octets, "result", intake.ClassOf(r.Err).String(), "client", s.client,
	}
	if r.Err != nil {
		s.log.Warn("lmtp: not delivered", append(args, "error", r.Err)...)
		return
	}
	s.log.Info("lmtp: delivered", args...)
}
