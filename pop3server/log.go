// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"crypto/tls"
	"log/slog"
	"time"

	"restante.example/pop3"
)

// log writes a line with the connection's id.
func (c *conn) log(level slog.Level, message string, attrs ...slog.Attr) {
	if !c.opt.Logger.Enabled(c.ctx, level) {
		return
	}
	all := make([]slog.Attr, 0, 16)
	all = append(all, slog.String("conn", c.id()))
	c.opt.Logger.LogAttrs(c.ctx, level, message, append(all, attrs...)...)
}

func (c *conn) remoteText() string {
	if !c.remote.IsValid() {
		return "local"
	}
	return c.remote.String()
}

// traceUser asks whether the conversation of a user is to be traced, now that
// the name is known.
func (c *conn) traceUser(name string) {
	if c.opt.Trace != nil && !c.tracing {
		c.tracing = c.opt.Trace(name)
	}
}

// trace writes a line of the conversation, "C" or "S" saying whose it is.
func (c *conn) trace(who, line string) {
	c.log(slog.LevelInfo, "trace", slog.String("from", who), slog.String("line", pop3.Printable(line)))
}

// traceCommand traces a command without its secrets. A line that is no command
// may be a password that went astray, so nothing of it is shown; nor of one whose
// word is none of ours.
func (c *conn) traceCommand(cmd pop3.Command, err error) {
	switch {
	case err != nil || !isCommand(cmd.Word):
		c.trace("C", "(no command)")
	case cmd.Word == pop3.CmdPass:
		c.trace("C", "PASS ****")
	case cmd.Word == pop3.CmdAuth:
		words, ok := cmd.Words(nil, 1)
		line := "AUTH"
		if len(words) > 0 {
			line += " " + words[0]
		}
		if !ok {
			line += " ****"
		}
		c.trace("C", line)
	case c.session == nil && cmd.Word != pop3.CmdUser && len(cmd.Arg) > 0:
		c.trace("C", cmd.Word+" ****")
	default:
		c.trace("C", cmd.Word+" "+string(cmd.Arg))
	}
}

// tlsVersion names the version in use, or who else sees to TLS, or returns "".
func (c *conn) tlsVersion() string {
	if c.tls == nil && c.shielded {
		return "proxy"
	}
	if c.tls == nil {
		return ""
	}
	state := c.tls.ConnectionState()
	if !state.HandshakeComplete {
		return ""
	}
	return tls.VersionName(state.Version)
}

// info describes the session, and reports false where there is none. It may be
// called by other goroutines.
func (c *conn) info() (SessionInfo, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	if s == nil || s.gone {
		return SessionInfo{}, false
	}
	return SessionInfo{
		ID: c.id(), User: s.principal.Name, Device: s.principal.Device, Maildrop: s.key.maildrop, View: s.key.view,
		Remote: c.remote, TLS: s.tls, Mechanism: s.mechanism,
		Since: s.since, Idle: c.meter.idle(), Counters: c.counters(s, s.deleted),
	}, true
}

func (c *conn) counters(s *session, deleted int) Counters {
	return Counters{
		Retrieved: s.retrieved, Top: s.top, Deleted: deleted,
		In: c.meter.in.Load(), Out: c.meter.out.Load(),
	}
}

// summarise tells of the connection that has ended: by one line in the log,
// which is of interest to people where somebody was signed in.
func (c *conn) summarise() {
	sum := Summary{
		ID: c.id(), Remote: c.remote, TLS: c.tlsVersion(), Duration: time.Since(c.began), End: c.end,
		Counters: Counters{In: c.meter.in.Load(), Out: c.meter.out.Load()},
	}
	level := slog.LevelDebug
	if s := c.session; s != nil {
		level = slog.LevelInfo
		sum.User, sum.Device, sum.Mechanism = s.principal.Name, s.principal.Device, s.mechanism
		sum.Maildrop, sum.View = s.key.maildrop, s.key.view
		sum.Counters, sum.Left = c.counters(s, s.removed), s.total-s.removed
	}
	c.log(level, "session ended",
		slog.String("user", sum.User), slog.String("device", sum.Device), slog.String("view", string(sum.View)),
		slog.String("remote", c.remoteText()), slog.String("tls", sum.TLS), slog.String("mechanism", sum.Mechanism),
		slog.Int("retrieved", sum.Retrieved), slog.Int("top", sum.Top),
		slog.Int("deleted", sum.Deleted), slog.Int("left", sum.Left),
		slog.Int64("in", sum.In), slog.Int64("out", sum.Out),
		slog.Duration("duration", sum.Duration), slog.String("end", string(sum.End)))
	if c.opt.OnEnd != nil {
		c.opt.OnEnd(sum)
	}
}
