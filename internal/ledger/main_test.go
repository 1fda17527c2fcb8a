package ledger_test

import (
	"os"
	"testing"

	"importer/internal/ledger/ledgertest"
)

func TestMain(m *testing.M) { os.Exit(ledgertest.Main(m)) }
