# Copyright The restante authors.
# SPDX-License-Identifier: Apache-2.0
# collect.pl TLS PORT USER CAFILE OUT delete|leave MECHANISM, the password on standard input.
use strict;
use warnings;
use Net::POP3;

my ($tls, $port, $user, $ca, $out, $what, $mechanism) = @ARGV;
my $password = do { local $/; <STDIN> };
my %ssl = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost', SSL_verify_mode => 1);
my $pop = Net::POP3->new('localhost', Port => $port, Timeout => 30, $tls eq 'implicit' ? (SSL => 1, %ssl) : ())
  or die "connect: $@";
if ($tls eq 'stls') {
    $pop->starttls(%ssl) or die 'STLS: ', $pop->message, " $@";
}
defined(my $count = $mechanism eq 'APOP' ? $pop->apop($user, $password) : $pop->login($user, $password))
  or die 'sign-in: ', $pop->message;
my $uids = $pop->uidl or die 'UIDL: ', $pop->message;
die "$count messages and ", scalar(keys %$uids), ' UIDs' unless $count == keys %$uids;
for my $n (1 .. $count) {
    my $lines = $pop->get($n) or die "RETR $n: ", $pop->message;
    open my $file, '>:raw', "$out/$n" or die "$out/$n: $!";
    print {$file} @$lines or die $!;
    close $file or die $!;
    if ($what eq 'delete') { $pop->delete($n) or die "DELE $n: ", $pop->message }
}
$pop->quit or die 'QUIT: ', $pop->message;
