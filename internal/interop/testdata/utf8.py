# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0
"""utf8.py PORT USER CAFILE OUT utf8|ascii, the password on standard input.

Collects all mail that the server gives, with or without UTF8, and leaves it. The
numbers of what is refused with [UTF8] are written to standard output."""
import os
import poplib
import ssl
import sys

port, user, ca, out, mode = sys.argv[1:]
password = sys.stdin.read()
box = poplib.POP3_SSL("localhost", int(port), context=ssl.create_default_context(cafile=ca), timeout=30)
capabilities = box.capa()
assert capabilities["UTF8"] == ["USER"], capabilities
assert capabilities["LANG"] == [], capabilities
if mode == "utf8":
    box.utf8()
box.encoding = "utf-8"
box.user(user)
box.pass_(password)
sizes = [int(line.split()[1]) for line in box.list()[1]]
for n, announced in enumerate(sizes, 1):
    try:
        reply, lines, size = box.retr(n)
    except poplib.error_proto as refusal:
        assert refusal.args[0].startswith(b"-ERR [UTF8] "), refusal
        print(n)
        continue
    assert size == announced, (n, size, announced)
    with open(os.path.join(out, str(n)), "wb") as f:
        f.write(b"".join(line + b"\r\n" for line in lines))
box.quit()
