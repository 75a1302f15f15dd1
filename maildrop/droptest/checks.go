// Copyright The restante authors.
// SPDX-License-Identifier: Apache-2.0

package droptest

// checks lists the suite. A new check needs a store that is wrong on purpose
// in wrong_test.go that it catches.
func checks() []check {
	return []check{
		{"Corpus", checkCorpus},
		{"Pieces", checkPieces},
		{"Envelope", checkEnvelope},
		{"Targets", checkTargets},
		{"Unknown", checkUnknown},
		{"Quota", checkQuota},
		{"QuotaRace", checkQuotaRace},
		{"Transactions", checkTransactions},
		{"Abort", checkAbort},
		{"Full", checkFull},
		{"Order", checkOrder},
		{"UIDs", checkUIDs},
		{"Snapshot", checkSnapshot},
		{"Readers", checkReaders},
		{"InUse", checkInUse},
		{"Closed", checkClosed},
		{"Tokens", checkTokens},
		{"Revoke", checkRevoke},
		{"Remove", checkRemove},
		{"RemoveNew", checkRemoveNew},
		{"Damage", checkDamage},
		{"Taken", checkTaken},
		{"Views", checkViews},
		{"ViewSince", checkViewSince},
		{"DropOpenView", checkDropOpenView},
		{"ResetView", checkResetView},
		{"RevokeRace", checkRevokeRace},
		{"DropRace", checkDropRace},
		{"OpenRace", checkOpenRace},
		{"Crowd", checkCrowd},
		{"Random", checkRandom},
		{"PowerLoss", checkPowerLoss},
		{"Errors", checkErrors},
		{"RandomFaults", checkRandomFaults},
	}
}
