// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package pop3server

import (
	"net/netip"
	"time"

	"restante.example/maildrop"
)

// Ending says why a connection ended.
type Ending string

// The endings.
const (
	EndQuit        Ending = "quit"               // QUIT, everything done
	EndQuitFailed  Ending = "quit failed"        // QUIT, and not every message was removed
	EndClosed      Ending = "closed by client"   // the client left without QUIT
	EndLost        Ending = "connection lost"    // reading or writing failed
	EndIdle        Ending = "idle"               // no command within Timeouts.Idle
	EndAuthTime    Ending = "sign-in too slow"   // not signed in within Timeouts.Auth
	EndLineTime    Ending = "line too slow"      // a line took longer than Timeouts.Line
	EndWriteTime   Ending = "reading too slow"   // the client did not take a reply in time
	EndFailures    Ending = "wrong passwords"    // as many as Limits.Failures
	EndWrong       Ending = "wrong commands"     // as many as Limits.WrongCommands, or a line without end
	EndForeign     Ending = "another protocol"   // a request of HTTP
	EndInjection   Ending = "octets behind STLS" // somebody pushed octets in before TLS
	EndTLS         Ending = "TLS failed"         // the handshake failed
	EndDamaged     Ending = "message failed"     // a message could not be sent to its end
	EndRefused     Ending = "too many"           // over a limit on connections
	EndEvicted     Ending = "made room"          // too many not signed in: the longest idle one went
	EndTakenOver   Ending = "taken over"         // another session took the view
	EndRevoked     Ending = "revoked"            // by End, or by the store
	EndShutdown    Ending = "shutdown"           // Shutdown or Close
	EndServerError Ending = "internal error"     // a fault of the server; its log has the stack
)

// Counters are what a session did so far.
type Counters struct {
	// Retrieved and Top are how many messages were sent whole and in part.
	Retrieved, Top int
	// Deleted is how many messages are marked deleted; once the session has
	// ended, how many were removed.
	Deleted int
	// In and Out are octets on the wire, those of TLS included.
	In, Out int64
}

// Summary is a connection that has ended.
type Summary struct {
	// ID names the connection in the log.
	ID string
	// User and the three behind it are empty when nobody signed in; Device is
	// empty for the user's own password too.
	User     string
	Device   string
	Maildrop maildrop.ID
	View     maildrop.View
	// Remote is the zero Addr where the connection has no address.
	Remote netip.Addr
	// TLS is the version, such as "TLS 1.3", or empty.
	TLS string
	// Mechanism is "USER", "PLAIN" and so on, or empty.
	Mechanism string
	Counters
	// Left is how many messages the view has after the session, as far as this
	// session knows.
	Left int
	// Duration is the time from connecting to the end.
	Duration time.Duration
	// End says why it ended.
	End Ending
}

// SessionInfo is a signed-in session that is going on.
type SessionInfo struct {
	// ID names the connection in the log.
	ID   string
	User string
	// Device is what the user calls the device, or empty.
	Device   string
	Maildrop maildrop.ID
	View     maildrop.View
	// Remote is the zero Addr where the connection has no address.
	Remote netip.Addr
	// TLS is the version, such as "TLS 1.3", or empty.
	TLS       string
	Mechanism string
	// Since is when the user signed in.
	Since time.Time
	// Idle is for how long no octet went either way.
	Idle time.Duration
	Counters
}
