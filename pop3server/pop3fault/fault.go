// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3fault

import (
	"fmt"
	"io"
	"strings"
)

// Fault is one way to misbehave. Message numbers in names of faults are those
// of a full maildrop, from 1 on.
type Fault struct {
	// Name is the fault as it is written in Go, for the names of tests.
	Name     string
	set      func(*plan)
	sessions int // of these only; 0: of all
}

// Sessions restricts a fault to the first n connections, so that a test can
// see a program come again when all is well. What faults put into the maildrop
// (huge or odd messages) stays there.
func (f Fault) Sessions(n int) Fault {
	f.sessions = n
	return f
}

// plan is what all faults together do.
type plan struct {
	greeting    string // in place of the usual one
	escapes     string // in front of every text
	paced       bool
	capa        capaMode
	noUIDL      bool
	noTOP       bool
	noAUTH      bool
	stls        stlsMode
	refusals    []string // of the first sign-ins
	uid         func(session, n int, uid string) string
	size        func(n int, size int64) string
	rows        func(numbers []int) []int
	endlessUIDL bool
	endlessLIST bool
	retr        map[int]retrMode
	replace     map[int]func(n int) Message
	count       int
	ignoreDELE  bool
	quit        quitMode
	hide        bool
	pipelining  bool // announced, and commands sent ahead are lost
}

type capaMode int

const (
	capaTrue capaMode = iota
	capaRefused
	capaLies
	capaHangs
)

type stlsMode int

const (
	stlsWorks stlsMode = iota
	stlsBroken
	stlsInjected
)

type retrMode int

const (
	retrWorks retrMode = iota
	retrCut
	retrNoDot
	retrRefused
	retrEmpty
	retrGone
	retrEndless
	retrHangs
)

type quitMode int

const (
	quitWorks quitMode = iota
	quitReplyLost
	quitDropped
	quitRefused
)

func fault(set func(*plan), name string, args ...any) Fault {
	return Fault{Name: fmt.Sprintf(name, args...), set: set}
}

func onRETR(name string, n int, mode retrMode) Fault {
	return fault(func(p *plan) {
		if p.retr == nil {
			p.retr = map[int]retrMode{}
		}
		p.retr[n] = mode
	}, name+"(%d)", n)
}

func content(name string, n int, make func(n int) Message) Fault {
	return fault(func(p *plan) {
		if p.replace == nil {
			p.replace = map[int]func(int) Message{}
		}
		p.replace[n] = make
	}, name+"(%d)", n)
}

// CutInMessage closes the connection in the middle of message n.
func CutInMessage(n int) Fault { return onRETR("CutInMessage", n, retrCut) }

// NoFinalDot sends message n whole and closes the connection in place of the
// terminating dot.
func NoFinalDot(n int) Fault { return onRETR("NoFinalDot", n, retrNoDot) }

// RefuseMessage answers -ERR to RETR n, always.
func RefuseMessage(n int) Fault { return onRETR("RefuseMessage", n, retrRefused) }

// EmptyMessage answers RETR n with +OK and the dot, whatever LIST said.
func EmptyMessage(n int) Fault { return onRETR("EmptyMessage", n, retrEmpty) }

// GoneMessage lets message n vanish for good at its RETR, after it was listed.
func GoneMessage(n int) Fault { return onRETR("GoneMessage", n, retrGone) }

// EndlessMessage never ends message n.
func EndlessMessage(n int) Fault { return onRETR("EndlessMessage", n, retrEndless) }

// HangInMessage sends half of message n and then nothing more.
func HangInMessage(n int) Fault { return onRETR("HangInMessage", n, retrHangs) }

// HugeLine makes message n one of 100 MiB in a single line.
func HugeLine(n int) Fault {
	return content("HugeLine", n, func(n int) Message { return built(n, 100<<20, "no end of this line, ") })
}

// HugeMessage makes message n one of 1 GiB; it is made while it is sent.
func HugeMessage(n int) Fault {
	return content("HugeMessage", n, func(n int) Message { return Generated(n, 1<<30) })
}

// LFDotLF gives message n a line with a single dot between bare LFs, which
// does not end it.
func LFDotLF(n int) Fault {
	return content("LFDotLF", n, func(n int) Message {
		text := fmt.Sprintf("Subject: letter %d\r\n\r\nbefore\n.\nafter\n.\r\nand\r.\nthe end\r\n", n)
		return Text(fmt.Sprintf("uid-%d", n), text)
	})
}

// ManyMessages fills the maildrop with n messages of 300 octets.
func ManyMessages(n int) Fault {
	return fault(func(p *plan) { p.count = n }, "ManyMessages(%d)", n)
}

// WrongSizes announces sizes that are about a third of the truth.
func WrongSizes() Fault {
	return fault(func(p *plan) {
		p.size = func(_ int, size int64) string { return fmt.Sprint(size/3 + 1) }
	}, "WrongSizes")
}

// AbsurdSizes announces sizes beyond 64 bits, and some that are no numbers.
func AbsurdSizes() Fault {
	return fault(func(p *plan) {
		p.size = func(n int, _ int64) string {
			return []string{"99999999999999999999", "many", "0x10", "1e9", "9223372036854775807"}[n%5]
		}
	}, "AbsurdSizes")
}

// NegativeSizes announces sizes below 0.
func NegativeSizes() Fault {
	return fault(func(p *plan) {
		p.size = func(_ int, size int64) string { return fmt.Sprint(-size) }
	}, "NegativeSizes")
}

// MissingRows leaves every second message out of LIST and UIDL.
func MissingRows() Fault {
	return fault(func(p *plan) {
		p.rows = func(numbers []int) []int {
			var odd []int
			for _, n := range numbers {
				if n%2 == 1 {
					odd = append(odd, n)
				}
			}
			return odd
		}
	}, "MissingRows")
}

// ShuffledRows sends the rows of LIST and UIDL backwards, the last one twice.
func ShuffledRows() Fault {
	return fault(func(p *plan) {
		p.rows = func(numbers []int) []int {
			var back []int
			for i := range numbers {
				back = append(back, numbers[len(numbers)-1-i])
			}
			if len(back) > 0 {
				back = append(back, back[0])
			}
			return back
		}
	}, "ShuffledRows")
}

// NoUIDL refuses UIDL and does not announce it.
func NoUIDL() Fault { return fault(func(p *plan) { p.noUIDL = true }, "NoUIDL") }

// NoTOP refuses TOP and does not announce it.
func NoTOP() Fault { return fault(func(p *plan) { p.noTOP = true }, "NoTOP") }

// EndlessUIDL never ends the listing of unique ids.
func EndlessUIDL() Fault { return fault(func(p *plan) { p.endlessUIDL = true }, "EndlessUIDL") }

// EndlessLIST never ends the listing of sizes.
func EndlessLIST() Fault { return fault(func(p *plan) { p.endlessLIST = true }, "EndlessLIST") }

// DoubledUIDs gives each message the unique id of the one before it, every
// second time.
func DoubledUIDs() Fault {
	return fault(func(p *plan) {
		p.uid = func(_, n int, _ string) string { return fmt.Sprintf("twin-%d", (n+1)/2) }
	}, "DoubledUIDs")
}

// ChangedUIDs gives all messages other unique ids in each session.
func ChangedUIDs() Fault {
	return fault(func(p *plan) {
		p.uid = func(session, _ int, uid string) string { return fmt.Sprintf("%d-%s", session, uid) }
	}, "ChangedUIDs")
}

// MovedUIDs gives each message the unique id of the one behind it, from the
// second connection on: ids that are known name other messages.
func MovedUIDs() Fault {
	return fault(func(p *plan) {
		p.uid = func(session, n int, uid string) string {
			if session == 1 {
				return fmt.Sprintf("moved-%d", n)
			}
			return fmt.Sprintf("moved-%d", n+1)
		}
	}, "MovedUIDs")
}

// UIDsWithBlanks has blanks and tabs in and around unique ids.
func UIDsWithBlanks() Fault {
	return fault(func(p *plan) {
		p.uid = func(_, _ int, uid string) string { return "  a b\t" + uid + "  c " }
	}, "UIDsWithBlanks")
}

// LongUIDs has unique ids of 200 characters that differ at their ends only.
func LongUIDs() Fault {
	return fault(func(p *plan) {
		p.uid = func(_, _ int, uid string) string { return strings.Repeat("x", max(200-len(uid), 0)) + uid }
	}, "LongUIDs")
}

// EightBitUIDs has octets in unique ids that are no ASCII and no UTF-8.
func EightBitUIDs() Fault {
	return fault(func(p *plan) {
		p.uid = func(_, _ int, uid string) string { return "\xe9\xff\x80" + uid }
	}, "EightBitUIDs")
}

// NoCAPA refuses CAPA.
func NoCAPA() Fault { return fault(func(p *plan) { p.capa = capaRefused }, "NoCAPA") }

// LyingCAPA announces TOP, UIDL, PIPELINING and SASL mechanisms, and refuses
// TOP, UIDL and AUTH.
func LyingCAPA() Fault {
	return fault(func(p *plan) { p.capa, p.noUIDL, p.noTOP, p.noAUTH = capaLies, true, true, true }, "LyingCAPA")
}

// HangingCAPA never answers CAPA.
func HangingCAPA() Fault { return fault(func(p *plan) { p.capa = capaHangs }, "HangingCAPA") }

// BrokenPipelining announces PIPELINING and loses every command that was sent
// before the reply to the one in front of it.
func BrokenPipelining() Fault {
	return fault(func(p *plan) { p.pipelining = true }, "BrokenPipelining")
}

// BrokenSTLS answers +OK to STLS and then speaks no TLS.
func BrokenSTLS() Fault { return fault(func(p *plan) { p.stls = stlsBroken }, "BrokenSTLS") }

// InjectedBeforeTLS sends, in one piece with the reply to STLS, what somebody
// on the way might put there: replies in clear text.
func InjectedBeforeTLS() Fault {
	return fault(func(p *plan) { p.stls = stlsInjected }, "InjectedBeforeTLS")
}

// RefuseSignIn refuses the first times sign-ins with a response code such as
// "IN-USE", "LOGIN-DELAY" or "SYS/TEMP".
func RefuseSignIn(times int, code string) Fault {
	return fault(func(p *plan) {
		for range times {
			p.refusals = append(p.refusals, code)
		}
	}, "RefuseSignIn(%d,%s)", times, code)
}

// IgnoredDELE answers +OK to DELE and deletes nothing.
func IgnoredDELE() Fault { return fault(func(p *plan) { p.ignoreDELE = true }, "IgnoredDELE") }

// QUITReplyLost deletes at QUIT and closes the connection without a reply.
func QUITReplyLost() Fault { return fault(func(p *plan) { p.quit = quitReplyLost }, "QUITReplyLost") }

// QUITDropped closes the connection at QUIT and deletes nothing.
func QUITDropped() Fault { return fault(func(p *plan) { p.quit = quitDropped }, "QUITDropped") }

// QUITRefused answers -ERR [SYS/TEMP] to QUIT and deletes nothing.
func QUITRefused() Fault { return fault(func(p *plan) { p.quit = quitRefused }, "QUITRefused") }

// HideRetrieved hides from later sessions what was retrieved in a session that
// ended with QUIT, as Gmail does.
func HideRetrieved() Fault { return fault(func(p *plan) { p.hide = true }, "HideRetrieved") }

// OneOctetASecond sends one octet in each Options.Pace.
func OneOctetASecond() Fault { return fault(func(p *plan) { p.paced = true }, "OneOctetASecond") }

// HugeGreeting greets with a line of 1 MiB.
func HugeGreeting() Fault {
	return fault(func(p *plan) { p.greeting = "+OK " + strings.Repeat("hello ", 1<<20/6) }, "HugeGreeting")
}

// TerminalEscapes puts control sequences into every status line, unique id and
// capability, and into a header field of each message.
func TerminalEscapes() Fault {
	return fault(func(p *plan) {
		p.escapes = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
		p.uid = func(_, _ int, uid string) string { return "\x1b[31m" + uid + "\x07" }
	}, "TerminalEscapes")
}

// All returns every fault, with numbers that fit a maildrop of three messages
// or more: for tests that want to see them all.
func All() []Fault {
	return []Fault{
		CutInMessage(2), NoFinalDot(2), RefuseMessage(2), EmptyMessage(2), GoneMessage(2), EndlessMessage(2),
		HangInMessage(2), HugeLine(2), HugeMessage(2), LFDotLF(2), ManyMessages(20_000),
		WrongSizes(), AbsurdSizes(), NegativeSizes(), MissingRows(), ShuffledRows(), NoUIDL(), NoTOP(),
		EndlessUIDL(), EndlessLIST(), DoubledUIDs(), ChangedUIDs(), MovedUIDs(), UIDsWithBlanks(), LongUIDs(), EightBitUIDs(),
		NoCAPA(), LyingCAPA(), HangingCAPA(), BrokenPipelining(), BrokenSTLS(), InjectedBeforeTLS(),
		RefuseSignIn(1, "IN-USE"), RefuseSignIn(1, "LOGIN-DELAY"), RefuseSignIn(1, "SYS/TEMP"),
		IgnoredDELE(), QUITReplyLost(), QUITDropped(), QUITRefused(), HideRetrieved(),
		OneOctetASecond(), HugeGreeting(), TerminalEscapes(),
	}
}

// endless is a text without end.
func endless() io.Reader { return &cycle{block: strings.Repeat("and so on ", 7) + "\r\n"} }
