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
packages="curl mpop fetchmail getmail6 mutt python3 perl libio-socket-ssl-perl libauthen-pam-perl
	postfix dovecot-pop3d dovecot-lmtpd openssl strace xfsprogs libpam-modules libsasl2-modules libc-bin
	util-linux systemd gcc libc6-dev git prometheus
	s-nail ruby ruby-mail ecj default-jre-headless libmail-java libjakarta-mail-java
	sylpheed claws-mail thunderbird xvfb nginx libnginx-mod-mail haproxy testssl.sh"

# Servers whose packages exclude each other: a directory and what goes into it.
servers="courier popa3d mailutils cyrus"
contents() {
	case $1 in
	courier) echo courier-pop courier-base courier-authlib ;;
	popa3d) echo popa3d ;;
	mailutils) echo mailutils-pop3d ;;
	cyrus) echo cyrus-pop3d cyrus-imapd cyrus-common ;;
	esac
}

dir=${RESTANTE_PEERS_DIR:-$HOME/.cache/restante-peers}
scratch=
policy=/usr/sbin/policy-rc.d
guarded=
updated=

clean_up() {
	if [ -n "$guarded" ]; then
		rm -f "$policy"
		if [ -e "$policy.restante" ] || [ -L "$policy.restante" ]; then
			mv "$policy.restante" "$policy"
		fi
	fi
	if [ -n "$scratch" ]; then
		rm -rf "$scratch"
	fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

need_root() {
	if [ "$(id -u)" != 0 ]; then
		echo "install.sh: run it as root; missing: $*" >&2
		exit 1
	fi
}

# forbid_services: a package that brings a service asks this file whether it may
# start it.
forbid_services() {
	guarded=yes
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv "$policy" "$policy.restante"
	fi
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

update() {
	[ -n "$updated" ] || apt-get update -qq
	updated=yes
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=
for package in $packages; do
	installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
	need_root "$missing"
	forbid_services
	export DEBIAN_FRONTEND=noninteractive
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
	update
	# shellcheck disable=SC2086 # a list of words
	apt-get install -qq -y --no-install-recommends $missing
	# Its package would have it start with the machine.
	case " $missing " in
	*" prometheus "*) systemctl disable prometheus.service >/dev/null 2>&1 || true ;;
	esac
fi

for server in $servers; do
	wanted=$(contents "$server")
	if [ "$(cat "$dir/$server/.packages" 2>/dev/null)" = "$wanted" ]; then
		continue
	fi
	need_root "$server in $dir"
	update
	scratch=$(mktemp -d)
	# What apt would install for them here, which is never done.
	# shellcheck disable=SC2086 # a list of words
	needed=$(apt-get install -s --no-install-recommends $wanted | awk '/^Inst / { print $2 }')
	# shellcheck disable=SC2086 # a list of words
	(cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root $wanted $needed)
	rm -rf "${dir:?}/$server.new" "${dir:?}/$server"
	mkdir -p "$dir/$server.new"
	for package in "$scratch"/*.deb; do
		dpkg -x "$package" "$dir/$server.new"
	done
	echo "$wanted" >"$dir/$server.new/.packages"
	mv "$dir/$server.new" "$dir/$server"
	rm -rf "$scratch"
	scratch=
done
