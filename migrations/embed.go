// Package migrations holds the ledger's schema as numbered steps.
package migrations

import "embed"

// Files are the steps, for goose.
//
//go:embed *.sql
var Files embed.FS
