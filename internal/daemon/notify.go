// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifications for systemd, sd_notify(3).
const (
	notifyReady     = "READY=1"
	notifyReloading = "RELOADING=1"
	notifyStopping  = "STOPPING=1"
	notifyWatchdog  = "WATCHDOG=1"
)

// notifyStatus is what `systemctl status` shows, one line.
func notifyStatus(text string) string { return "STATUS=" + text }

// notifyExtend asks for time beyond what the unit gives to a start or a stop.
func notifyExtend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// notify tells the service manager states, a line each; without one (the environment has no
// NOTIFY_SOCKET) it does nothing. A name that begins with "@" is abstract.
func notify(getenv func(string) string, state string) error {
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: name})
	if err == nil {
		_, err = conn.Write([]byte(state))
		_ = conn.Close() // the datagram is out or lost by now
	}
	if err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	return nil
}
