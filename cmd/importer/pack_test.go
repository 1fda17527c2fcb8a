package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/xuri/excelize/v2"
)

// packCommand writes a container that holds the files, of the kind that its
// name ends in; with .cut behind that without its last bytes. Beside a .pgp it
// leaves the key, as key.
func packCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pack CONTAINER FILE...")
	}
	var b bytes.Buffer
	pack, ok := map[string]func(*testscript.TestScript, io.Writer, []string) error{
		".zip": packZip, ".gz": packGzip, ".xlsx": packWorkbook, ".pgp": packPGP,
	}[filepath.Ext(strings.TrimSuffix(args[0], ".cut"))]
	if !ok {
		ts.Fatalf("cannot pack a %s", args[0])
	}
	ts.Check(pack(ts, &b, args[1:]))
	if strings.HasSuffix(args[0], ".cut") {
		b.Truncate(b.Len() - 5)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

func packZip(ts *testscript.TestScript, w io.Writer, files []string) error {
	z := zip.NewWriter(w)
	for _, file := range files {
		m, err := z.Create(file)
		ts.Check(err)
		_, err = io.WriteString(m, ts.ReadFile(file))
		ts.Check(err)
	}
	return z.Close()
}

func packGzip(ts *testscript.TestScript, w io.Writer, files []string) error {
	z := gzip.NewWriter(w)
	_, err := io.WriteString(z, ts.ReadFile(files[0]))
	ts.Check(err)
	return z.Close()
}

// packWorkbook writes each CSV file as a sheet of its name.
func packWorkbook(ts *testscript.TestScript, w io.Writer, files []string) error {
	f := excelize.NewFile()
	for _, file := range files {
		sheet := file[:len(file)-len(filepath.Ext(file))]
		_, err := f.NewSheet(sheet)
		ts.Check(err)
		rows, err := csv.NewReader(bytes.NewReader([]byte(ts.ReadFile(file)))).ReadAll()
		ts.Check(err)
		for i, row := range rows {
			cell, err := excelize.CoordinatesToCellName(1, i+1)
			ts.Check(err)
			ts.Check(f.SetSheetRow(sheet, cell, &row))
		}
	}
	ts.Check(f.DeleteSheet("Sheet1"))
	return f.Write(w)
}

func packPGP(ts *testscript.TestScript, w io.Writer, files []string) error {
	e, err := openpgp.NewEntity("Importer", "", "importer@example.com", nil)
	ts.Check(err)
	m, err := openpgp.Encrypt(w, []*openpgp.Entity{e}, nil, nil, nil)
	ts.Check(err)
	_, err = io.WriteString(m, ts.ReadFile(files[0]))
	ts.Check(err)
	ts.Check(m.Close())
	ts.Check(e.EncryptPrivateKeys([]byte("correct horse"), nil))
	var key bytes.Buffer
	ts.Check(e.SerializePrivateWithoutSigning(&key, nil))
	return os.WriteFile(ts.MkAbs("key"), key.Bytes(), 0o600)
}
