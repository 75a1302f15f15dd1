// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net"
	"strings"
)

// Notify tells systemd a state as in sd_notify(3). Without systemd, that is
// without NOTIFY_SOCKET in the environment, it does nothing.
func Notify(getenv func(string) string, state string) error {
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}
