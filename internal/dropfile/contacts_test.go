package dropfile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/dropfile"
	"importer/internal/dropfile/container"
)

func TestWhatComesAlongWithContactsIsKnown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"name,phone\nRosa,3055550101\n": true,
		"name,phone\n":                  true,
		"Wer,Was,Wo\nRosa,3055550101,3055550102\nAda,3055550103,3055550104\n":                                     true,
		"Wer;Wohin\nRosa;rosa@example.com\n":                                                                      true,
		"3055550101\n305 555 0102\n":                                                                              true,
		"Name,Ort\n" + strings.Repeat("Rosa,Boston\n", 9) + "Ada,x 3055550101\n":                                  true,
		container.SheetMark + "\"Wer\"\n\"305-555-0101\"\n":                                                       true,
		"Hello,\nthese are the leads of May.\nPlease call 305-555-0199 with questions.\n\nRegards,\nThe vendor\n": false,
		"":     false,
		"\n\n": false,
		"Dear all,\nthese are the leads of May.\n":                                      false,
		"Region,Contacts\nNorth,120\nSouth,95\n":                                        false,
		"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  leads.csv\n": false,
		"%PDF-1.7\n": false,
		"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00": false,
		"<?xml version=\"1.0\"?><leads/>":                     false,
		"<!DOCTYPE html><p>Please log in":                     false,
		container.SheetMark + "\"Region\",\"Sum\"\n\"North\",\"1200000\"\n" + strings.Repeat("\"East\",\"12\"\n", 10): false,
		"Please read this.\n" + strings.Repeat("It is about the leads of May.\n", 20) + "Call 305-555-0199.\n":        false,
	} {
		require.Equal(t, want, dropfile.HoldsContacts(strings.NewReader(text), dropfile.Options{}), "%q", text)
	}
}
