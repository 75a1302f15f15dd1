// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"restante.example/maildrop"
)

// Stores that are wrong in what they make of a message.
var wrongContent = []wrong{
	{"adds no final CRLF", "Corpus Pieces Random", func(w *wrapped) {
		w.content = func(data string) string { return strings.TrimSuffix(data, "\r\n") }
	}},
	{"keeps a bare LF", "Corpus Pieces Random", func(w *wrapped) {
		w.content = func(data string) string { return strings.ReplaceAll(data, "\r\n", "\n") }
	}},
	{"takes a lone CR for a line end", "Corpus", func(w *wrapped) {
		w.content = func(data string) string {
			return strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\r"), "\r", "\r\n")
		}
	}},
	{"stuffs dots", "Corpus Pieces Random", func(w *wrapped) {
		w.content = func(data string) string { return strings.ReplaceAll(data, "\n.", "\n..") }
	}},
	{"ends at a dot", "Corpus", func(w *wrapped) {
		w.content = func(data string) string {
			before, _, _ := strings.Cut(data, "\r\n.\r\n")
			return before
		}
	}},
	{"drops NUL", "Corpus", func(w *wrapped) {
		w.content = func(data string) string { return strings.ReplaceAll(data, "\x00", "") }
	}},
	{"cuts long lines", "Corpus", func(w *wrapped) {
		w.content = func(data string) string {
			if len(data) > 1<<20 {
				return data[:1<<20]
			}
			return data
		}
	}},
	{"takes each Write for a whole", "Pieces", func(w *wrapped) {
		w.write = func(d *delivery, p []byte) []byte {
			if len(p) > 0 && p[0] == '\n' {
				return append([]byte("\r"), p...)
			}
			return p
		}
	}},
	{"announces the size with LF", "Corpus Pieces Random", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			data, err := s.raw(context.Background(), n)
			if err == nil {
				info.Size -= int64(strings.Count(data, "\r\n"))
			}
			return info
		}
	}},
	{"trusts the announced size", "Envelope", func(w *wrapped) {
		w.write = func(d *delivery, p []byte) []byte {
			if size := d.env.Size; size > 0 && size < int64(len(p)) {
				return p[:size]
			}
			return p
		}
	}},
	{"forgets SMTPUTF8", "Envelope Random", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.SMTPUTF8 = false
			return info
		}
	}},
}

// Stores that are wrong in taking mail in.
var wrongDelivery = []wrong{
	{"forgets prefixes", "Corpus Targets", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for i := range targets {
				targets[i].Prefix = nil
			}
			return nil
		}
	}},
	{"gives all the first prefix", "Targets", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for i := range targets {
				targets[i].Prefix = targets[0].Prefix
			}
			return nil
		}
	}},
	{"refuses all if one target refuses", "Targets", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			answers := d.Delivery.Commit(ctx)
			if err := errors.Join(answers...); err != nil {
				for i := range answers {
					answers[i] = err
				}
			}
			return answers
		}
	}},
	{"takes anything for a maildrop", "Unknown Targets", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for _, t := range targets {
				w.bench.office.AddMaildrop(t.Maildrop)
			}
			return nil
		}
		w.usage = func(ctx context.Context, id maildrop.ID) (int, int64, error) {
			w.bench.office.AddMaildrop(id)
			return w.Store.Usage(ctx, id)
		}
	}},
	{"knows no quota", "Quota QuotaRace Targets", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for i := range targets {
				targets[i].Quota = maildrop.Quota{}
			}
			return nil
		}
	}},
	{"gives one more than the quota", "Quota QuotaRace", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for i := range targets {
				if targets[i].Quota.Messages > 0 {
					targets[i].Quota.Messages++
				}
			}
			return nil
		}
	}},
	{"fills a quota of octets to one less", "Quota", func(w *wrapped) {
		w.begin = func(_ context.Context, _ *maildrop.Envelope, targets []maildrop.Target) error {
			for i := range targets {
				targets[i].Quota.Octets--
			}
			return nil
		}
	}},
	{"forgets transactions", "Transactions", func(w *wrapped) {
		w.begin = func(_ context.Context, env *maildrop.Envelope, _ []maildrop.Target) error {
			env.Transaction = ""
			return nil
		}
	}},
	{"takes a retry to another target for done", "Transactions", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			if d.env.Transaction != "" && w.note(d.env.Transaction) > 1 {
				return make([]error, len(d.targets))
			}
			return d.Delivery.Commit(ctx)
		}
	}},
	{"commits at Abort", "Abort", func(w *wrapped) {
		w.abort = func(d *delivery) { d.Delivery.Commit(context.Background()) }
	}},
	{"stores while it comes in", "Abort", func(w *wrapped) {
		w.write = func(d *delivery, p []byte) []byte {
			d.body.Write(p)
			d.again(context.Background(), maildrop.Envelope{}, d.targets)
			return p
		}
	}},
	{"does not know ErrNoSpace", "Full", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			answers := d.Delivery.Commit(ctx)
			for i, err := range answers {
				if errors.Is(err, maildrop.ErrNoSpace) {
					answers[i] = errBroken
				}
			}
			return answers
		}
	}},
	{"loses every tenth message", "Order Crowd Random RevokeRace", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			if w.note("commits")%10 == 0 {
				return make([]error, len(d.targets))
			}
			return d.Delivery.Commit(ctx)
		}
	}},
	{"stores every tenth message twice", "Order Crowd Random RevokeRace", func(w *wrapped) {
		w.commit = func(d *delivery, ctx context.Context) []error {
			if w.note("commits")%10 == 0 {
				d.again(ctx, maildrop.Envelope{}, d.targets)
			}
			return d.Delivery.Commit(ctx)
		}
	}},
	{"lists the newest first", "Order Remove Random", func(w *wrapped) {
		w.info = func(s *snapshot, n int, _ maildrop.Info) maildrop.Info {
			return s.Snapshot.Info(s.Len() + 1 - n)
		}
		w.message = func(s *snapshot, ctx context.Context, n int) (io.ReadCloser, error) {
			return s.Snapshot.Message(ctx, s.Len()+1-n)
		}
	}},
	{"makes UIDs of numbers", "UIDs Remove Random", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID = fmt.Sprint(n)
			return info
		}
	}},
	{"makes UIDs of the content", "UIDs", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID = fmt.Sprint("size-", info.Size)
			return info
		}
	}},
	{"makes UIDs with blanks", "UIDs Order", func(w *wrapped) {
		w.info = func(s *snapshot, n int, info maildrop.Info) maildrop.Info {
			info.UID = "a b" + info.UID
			return info
		}
	}},
}
