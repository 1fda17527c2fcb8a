// Package configs holds the example configurations and the sample drops.
package configs

import "embed"

// Samples are the drops of `importer demo`: invented people with the troubles
// of real life, and in samples/dnc.txt the numbers that the demo's dialer must
// not be given.
//
//go:embed samples
var Samples embed.FS
