// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"context"
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"

	"restante.example/internal/peers"
	"restante.example/sasl"
)

// TestFixedVectors: what Dovecot 2.3.19 and libxcrypt 4.4.33 made of "secret".
func TestFixedVectors(t *testing.T) {
	for _, field := range []string{
		"{PLAIN}secret", "{CLEAR}secret", "{cleartext}secret", "{PLAIN.B64}c2VjcmV0", "{PLAIN.hex}736563726574",
		"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=",
		"{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
		"{SHA256}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
		"{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
		"{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
		"{SSHA}z0XyODtaZ2DG0x67PKmeCeuEAo9TmjhX", "{SSHA256}s5bj01TQZW4Kjj0+rfphZPsVgWbAjmXYbpPAn54Ey1znN65O",
		"{SSHA512}g7yVQ+anL/HvuzQNLRHKKqc68LUu73RDXC2S0WyjX9s3GhP4S3rKcx28agVxLlEmCbV2Y/n+m7q5fjXW67QZ2RjepAM=",
		"{SMD5}T2FAs4BFsZbOhZeeiVOQ1BYkXj0=", "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
		"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", "{PLAIN-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
		"{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", "5ebe2294ecd0e0f08eab7690d2a6ee69[34]",
		"{MD5}$1$kgBEA/Q4$3fC1m0OsPBmaChIlkLBaa.", "{MD5-CRYPT}$1$NPZB0prI$3zxrEUExqaQUuo5tCjGMn1",
		"$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1[13]",
		"{BLF-CRYPT}$2y$05$Gp3aie848ZGAKVXoWqMp2OfUbzvgciBoBhvDl8eR7cAbSE1WAsf/O",
		"{CRYPT}$2y$05$YFI1GRpy1Iyc6a3BmwlWe.bRclyZMfxyBIebScoXQeYzPummuZ0wK",
		"$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
		"{SHA256-CRYPT}$5$WQaspzZxaHxJflOq$iW7CTaBRgjeVBGW66FIHhyP2v2/Yzh/GUEvCk1kjwA.",
		"$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
		"$6$abc$IdWKNKTJEb8LxY7CGg8YBXlvtfZzFw7Mp/r6niK9YB2mdvgY..TKjv1T..8RadRt2qvUHYRLr/TsVArtr91iR1",
		"$y$j9T$abcdefghijklmnopqrstu0$mOkpolYyJ.KNNCiMbGK4KxW4ANNbYJAkJsLwEEfdgPD",
		"{CRYPT}$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01",
		"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$THXdsZYrpTInwxA9k0R0ww$FixiQhqU6Z1CgzXthzIbRUQlcIDLqAULcy81upVHklA",
		"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$JICF8XXXR5QCqoAPquTWHg$HEHLabv8SM9aeqG3oC61NW4RnXExzTeha9mzF6ZFZJ4",
		"{PBKDF2}$1$x/nCy3WZO.lmJ/Eu$5000$7ce6438df31e881e5c5f6f0c720c36a2cfc59599",
		"{SCRAM-SHA-1}4096,wQRV+oIwWqaLuPwtWLoV7w==,s6p7rmREXtSRwwWQ7mXzE9o95nM=,fGMh1jmn8LT8ivlcwadFerfUmDA=",
		"{SCRAM-SHA-256}4096,ZklxMjaOdjKpyUDESxwmtg==,8aDjGkf68qyzUnI5Lg4IdsmGOvy/zcCgylU+RfbP4/Q=,owP3RiGfFjN715SpNwYiCkdFRJL4Z3ggnCkQkLXdmsw=",
	} {
		knows(t, field, "secret")
	}
}

// knows checks that a field stands for one password, and that the password is
// not stored.
func knows(t *testing.T, field, password string) {
	t.Helper()
	f, err := Import(field)
	if err != nil {
		t.Errorf("%s: %v", field, err)
		return
	}
	if !check(t, f.Stored, password) {
		t.Errorf("%s: the right password is not taken", field)
	}
	for _, wrong := range []string{"", password + "x", strings.ToUpper(password), password[1:]} {
		if wrong != password && check(t, f.Stored, wrong) {
			t.Errorf("%s: %q is taken", field, wrong)
		}
	}
	if strings.Contains(f.Stored, password) || strings.Contains(f.Stored, base64.StdEncoding.EncodeToString([]byte(password))) {
		t.Errorf("%s: %s holds the password", field, f.Stored)
	}
}

// TestKeysForSCRAM: the keys of a field are those of its password.
func TestKeysForSCRAM(t *testing.T) {
	f, err := Import("{SCRAM-SHA-256}4096,ZklxMjaOdjKpyUDESxwmtg==,8aDjGkf68qyzUnI5Lg4IdsmGOvy/zcCgylU+RfbP4/Q=,owP3RiGfFjN715SpNwYiCkdFRJL4Z3ggnCkQkLXdmsw=")
	if err != nil || f.Hash != "SHA-256" || f.Keys == nil || len(f.Keys.Keys) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	key, err := sasl.DeriveSCRAM("SHA-256", "secret", f.Keys.Salt, f.Keys.Iterations)
	if err != nil || string(key.ServerKey) != string(f.Keys.Keys[0].ServerKey) || string(key.StoredKey) != string(f.Keys.Keys[0].StoredKey) {
		t.Errorf("%v, %v", key, err)
	}
}

// TestNotTaken: each of these is refused at once, whatever work it asks for, and
// the error does not tell what stood there.
func TestNotTaken(t *testing.T) {
	for _, field := range []string{
		"", "secret", "x", "abNANd1rDfiNc", "{DES-CRYPT}abNANd1rDfiNc", "{SECRET-THING}secret", "{secret", "{}secret", "{PLAIN}",
		"{PLAIN.B64}!secret", "{PLAIN.secret}x", "{SHA}secret", "{SSHA}secret", "{SSHA}5en6G6MezRroT3XKqkdP", "{SHA256}secret==",
		"{MD5-CRYPT}$6$abc$secret", "$1$secret", "$1$123456789$cHJi5PXp/ki/ktXzqlk6I1", "$2x$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
		"$2b$16$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "$2b$05$abc",
		"$5$rounds=999999999$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
		"$5$rounds=99999999999999999999$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
		"$5$rounds=-1$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2", "$6$abc$secret", "$6$rounds=5000",
		"$y$jET$abcdefghijklmnopqrstu0$mOkpolYyJ.KNNCiMbGK4KxW4ANNbYJAkJsLwEEfdgPD", "$y$jFT$abcdefghijklmnopqrstu0$mOkpolYyJ.KNNCiMbGK4KxW4ANNbYJAkJsLwEEfdgPD",
		"$y$$$", "$y$j9T$abc$secret", "$gy$j9T$abcdefghijklmnopqrstu0$sTvgkC.hfIJeJ5nJ.efXdYyz1bxpmOynweMTuKd8jb6",
		"{ARGON2I}$argon2id$v=19$m=65536,t=3,p=1$JICF8XXXR5QCqoAPquTWHg$HEHLabv8SM9aeqG3oC61NW4RnXExzTeha9mzF6ZFZJ4",
		"{ARGON2ID}$argon2id$v=19$m=99999999,t=3,p=1$JICF8XXXR5QCqoAPquTWHg$HEHLabv8SM9aeqG3oC61NW4RnXExzTeha9mzF6ZFZJ4",
		"{PBKDF2}$1$salt$999999999$7ce6438df31e881e5c5f6f0c720c36a2cfc59599", "{PBKDF2}$2$salt$1$7ce6", "{PBKDF2}secret",
		"{SCRAM-SHA-256}1,ZklxMjaOdjKpyUDESxwmtg==,8aDjGkf68qyzUnI5Lg4IdsmGOvy/zcCgylU+RfbP4/Q=,owP3RiGfFjN715SpNwYiCkdFRJL4Z3ggnCkQkLXdmsw=",
		"{SCRAM-SHA-1}4096,ZklxMjaOdjKpyUDESxwmtg==,8aDjGkf68qyzUnI5Lg4IdsmGOvy/zcCgylU+RfbP4/Q=,owP3RiGfFjN715SpNwYiCkdFRJL4Z3ggnCkQkLXdmsw=",
		"{SCRAM-SHA-256}secret", "{SCRAM-SHA-512}secret", "$" + strings.Repeat("6$a", 1000),
	} {
		if f, err := Import(field); err == nil {
			t.Errorf("%q is taken as %q", field, f.Stored)
		} else if strings.Contains(strings.ToLower(err.Error()), "secret") {
			t.Errorf("%q: the error tells: %v", field, err)
		}
	}
}

// TestLocked: what stands for no password at all lets nobody in.
func TestLocked(t *testing.T) {
	for _, field := range []string{"*", "!", "!!", "!$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "{CRYPT}*"} {
		f, err := Import(field)
		if err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		for _, password := range []string{"", field, "secret"} {
			if check(t, f.Stored, password) {
				t.Errorf("%s: %q is taken", field, password)
			}
		}
	}
}

// unusual are passwords at the edges of the algorithms.
var unusual = []string{"secret", "a", "with blanks  and:colons{}", "grüße-ñ-日本", strings.Repeat("0123456789abcdef", 4), strings.Repeat("x", 100)}

// TestAgainstDovecot: what doveadm makes is taken.
func TestAgainstDovecot(t *testing.T) {
	doveadm := peers.Need(t, "doveadm")
	for _, scheme := range []string{"PLAIN", "PLAIN.B64", "CRYPT", "MD5-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "BLF-CRYPT", "ARGON2I", "ARGON2ID",
		"PBKDF2", "SHA", "SHA.HEX", "SSHA", "SSHA.HEX", "SHA256", "SSHA256", "SSHA256.B64", "SHA512", "SHA512.HEX", "SSHA512", "SMD5", "PLAIN-MD5",
		"LDAP-MD5", "MD5", "SHA512-CRYPT.B64", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		for _, password := range unusual[2:4] {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			out, err := exec.CommandContext(ctx, doveadm, "pw", "-s", scheme, "-p", password).CombinedOutput()
			cancel()
			if err != nil {
				t.Fatalf("doveadm pw -s %s: %v\n%s", scheme, err, out)
			}
			knowsOnly(t, strings.TrimSuffix(string(out), "\n"), password)
		}
	}
}

// TestAgainstCrypt: what crypt(3) of this system makes is taken.
func TestAgainstCrypt(t *testing.T) {
	perl := peers.Need(t, "perl")
	for _, setting := range []string{"$1$saltsalt", "$5$saltsaltsaltsalt", "$5$rounds=1234$s", "$6$saltsalt", "$6$rounds=20000$saltsalt",
		"$2a$04$abcdefghijklmnopqrstuu", "$2b$06$abcdefghijklmnopqrstuu", "$2y$04$abcdefghijklmnopqrstuu",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1", "$y$j75$abcdefgh", "$y$jA5$abcdefghijklmnopqrstu0"} {
		for _, password := range unusual {
			out, err := exec.Command(perl, "-e", "print crypt($ARGV[0], $ARGV[1])", password, setting).CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), setting) {
				t.Fatalf("crypt(3) with %s: %v, %q", setting, err, out)
			}
			knowsOnly(t, string(out), password)
		}
	}
}

// knowsOnly is knows for passwords whose likes may differ beyond what an
// algorithm looks at.
func knowsOnly(t *testing.T, field, password string) {
	t.Helper()
	f, err := Import(field)
	if err != nil {
		t.Errorf("%q: %s: %v", password, field, err)
		return
	}
	if !check(t, f.Stored, password) {
		t.Errorf("%q: %s: the right password is not taken", password, field)
	}
	if check(t, f.Stored, "!"+password) {
		t.Errorf("%q: %s: a wrong password is taken", password, field)
	}
}

func FuzzImport(f *testing.F) {
	for _, field := range []string{"{PLAIN}x", "{SSHA.HEX}00", "$1$a$b", "$6$rounds=1000$a$b", "$y$j9T$a$b", "{SCRAM-SHA-1}4096,a,b,c",
		"{PBKDF2}$1$a$1$00", "{ARGON2I}$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "{CRYPT}", "x[13]"} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got, err := Import(field)
		if err != nil {
			return
		}
		if _, err := Parse(got.Stored); err != nil {
			t.Errorf("%q became %q, which is not taken: %v", field, got.Stored, err)
		}
	})
}
