// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"restante.example/internal/config"
	"restante.example/internal/guard"
	"restante.example/pop3server"
	"restante.example/pop3server/pop3mem"
)

// Names and passwords in UTF-8 are prepared, however they are typed, and the
// administrator's language is what LANG * chooses. RFC 6856 sections 2.2 and 3.2.
func TestUTF8NamesAndLanguage(t *testing.T) {
	c := testConfig(t, config.Flags{})
	c.Language = "es"
	ready, l := begin(t, c)
	user := UserArgs{Name: "josé@bücher.example", Password: "contraseña"}
	if err := l.server.Operations().Call(t.Context(), OpUserAdd, user, nil, nil); err != nil {
		t.Fatal(err)
	}
	p := dial(t, ready.POP3)
	for _, turn := range []struct{ say, expect string }{
		{"CAPA", "UTF8 USER\r\n"},
		{"LANG *", "+OK es idioma elegido\r\n"},
		{"UTF8", "+OK UTF-8 desde ahora\r\n"},
		{"USER JOSE\u0301@xn--bcher-kva.example", "+OK envíe PASS\r\n"},
		{"PASS contrase\xf1a", "-ERR [AUTH] nombre o contraseña incorrectos\r\n"},
		{"USER JOSE\u0301@xn--bcher-kva.example", "+OK envíe PASS\r\n"},
		{"PASS contrasen\u0303a", "+OK 0 mensajes (0 octetos)\r\n"},
		{"QUIT", "+OK adiós\r\n"},
	} {
		p.say(turn.say + "\r\n")
		p.expect(turn.expect)
	}
}

// What the guard says is translated as well.
func TestGuardSpeaksSpanish(t *testing.T) {
	g := guard.New(&guard.Options{MaxWait: time.Nanosecond})
	g.After(netip.Addr{}, "ana", false)
	office := pop3mem.New(nil)
	s := pop3server.New(&pop3server.Options{
		Store: office, Directory: office, Guard: refusals{g, nil}, Spanish: refusalsInSpanish(),
		Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { s.Close() })
	mine, theirs := net.Pipe()
	go s.ServeConn(t.Context(), theirs, false)
	p := &peer{mine, bufio.NewReader(mine), t}
	p.expect("+OK")
	for _, turn := range []struct{ say, expect string }{
		{"LANG es", "+OK es "},
		{"AUTH PLAIN AGFuYQB4", "-ERR [SYS/TEMP] demasiadas entradas fallidas; intentelo mas tarde\r\n"},
		{"UTF8", "+OK"},
		{"AUTH PLAIN AGFuYQB4", "-ERR [SYS/TEMP] demasiadas entradas fallidas; inténtelo más tarde\r\n"},
		{"LANG en", "+OK en "},
		{"AUTH PLAIN AGFuYQB4", "-ERR [SYS/TEMP] " + tooManyFailures + "\r\n"},
		{"QUIT", "+OK bye\r\n"},
	} {
		p.say(turn.say + "\r\n")
		p.expect(turn.expect)
	}
}
