#!/bin/sh
# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs the programs that the tests talk to, from Debian's packages, as root.
# It starts no service, and is quick when everything is there already.
#
#   RESTANTE_PEERS_DIR   where the POP3 servers are unpacked that cannot be
#                        installed side by side; ~/.cache/restante-peers
set -eu

# Programs that live beside each other.
packages="curl mpop fetchmail mutt python3 perl libio-socket-ssl-perl postfix openssl strace"

missing=
for package in $packages; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "install.sh: run it as root; missing:$missing" >&2
		exit 1
	fi

	# A package that brings a service asks this file whether it may start it.
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv "$policy" "$policy.restante"
	fi
	restore() {
		rm -f "$policy"
		if [ -e "$policy.restante" ] || [ -L "$policy.restante" ]; then
			mv "$policy.restante" "$policy"
		fi
	}
	trap restore EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"

	export DEBIAN_FRONTEND=noninteractive
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	apt-get install -qq -y --no-install-recommends $missing
fi
