# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0

# collect.rb TLS PORT USER CAFILE OUT delete|leave MECHANISM, the password on standard input.
require "net/pop"

tls, port, user, ca, out, what, mechanism = ARGV
box = Net::POP3.new("localhost", port.to_i, mechanism == "APOP")
case tls
when "implicit" then box.enable_ssl(OpenSSL::SSL::VERIFY_PEER, ca)
when "none" then nil
else abort "net/pop knows no #{tls}"
end
box.start(user, $stdin.read) do
  mails = box.mails
  abort "STAT and LIST differ" unless mails.size == box.n_mails && mails.sum(&:length) == box.n_bytes
  abort "a UID comes twice" unless mails.map(&:unique_id).uniq.size == mails.size
  mails.each do |mail|
    message = mail.pop
    # LIST counts the octets as they travel.
    abort "message #{mail.number} has #{message.bytesize} octets, LIST says #{mail.length}" unless message.bytesize == mail.length
    abort "message #{mail.number} begins otherwise with TOP" unless message.start_with?(mail.header)
    File.binwrite(File.join(out, mail.number.to_s), message)
    mail.delete if what == "delete"
  end
end
