# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0
"""collect.py TLS PORT USER CAFILE OUT delete|leave MECHANISM, the password on standard input."""
import os
import poplib
import ssl
import sys

tls, port, user, ca, out, what, mechanism = sys.argv[1:]
password = sys.stdin.read()
context = ssl.create_default_context(cafile=ca)
if tls == "implicit":
    box = poplib.POP3_SSL("localhost", int(port), context=context, timeout=30)
else:
    box = poplib.POP3("localhost", int(port), timeout=30)
    if tls == "stls":
        box.stls(context=context)
capabilities = box.capa()
for need in ("TOP", "UIDL", "USER"):
    assert need in capabilities, capabilities
if mechanism == "APOP":
    box.apop(user, password)
else:
    box.user(user)
    box.pass_(password)

count, octets = box.stat()
uids = [line.split()[1] for line in box.uidl()[1]]
sizes = [int(line.split()[1]) for line in box.list()[1]]
assert len(uids) == len(set(uids)) == len(sizes) == count, (uids, sizes, count)
assert sum(sizes) == octets, (sizes, octets)
for n in range(1, count + 1):
    # retr counts the octets as they travelled, with line ends.
    reply, lines, size = box.retr(n)
    message = b"".join(line + b"\r\n" for line in lines)
    assert size == len(message) == sizes[n - 1], (n, size, len(message), sizes)
    top = b"".join(line + b"\r\n" for line in box.top(n, 0)[1])
    assert message.startswith(top), (n, top)
    with open(os.path.join(out, str(n)), "wb") as f:
        f.write(message)
    if what == "delete":
        box.dele(n)
box.quit()
