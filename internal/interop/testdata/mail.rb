# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0

# mail.rb TLS PORT USER CAFILE OUT delete|leave MECHANISM, the password on standard input:
# the library Mail, which has no place for a CAFILE.
require "mail"

tls, port, user, _, out, what, = ARGV
box = Mail::POP3.new(address: "localhost", port: port.to_i, user_name: user, password: $stdin.read,
                     enable_ssl: tls == "implicit")
box.find(count: :all, delete_after_find: what == "delete").each.with_index do |mail, i|
  File.binwrite(File.join(out, i.to_s), mail.raw_source)
end
