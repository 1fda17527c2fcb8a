package ledgertest_test

import (
	"testing"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

func TestTheFakeKeepsTheLedgersPromises(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(*testing.T) importer.Ledger { return ledgertest.NewFake() })
}
