package ledger_test

import (
	"testing"

	"importer/internal/importer"
	"importer/internal/ledger/ledgertest"
)

func TestTheLedgerKeepsItsPromises(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) importer.Ledger { return ledgertest.Open(t) })
}
