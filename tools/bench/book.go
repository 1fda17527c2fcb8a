package main

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
)

// writeBook writes a vendor's workbook of count people as Excel does: the
// texts stand in a part of their own, to which the cells refer by number.
// Nobody's phone number is a text.
func writeBook(file string, count int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z := zip.NewWriter(f)
	part := func(name string, write func(w *bufio.Writer)) {
		w, createErr := z.Create(name)
		if createErr != nil {
			err = errors.Join(err, createErr)
			return
		}
		b := bufio.NewWriter(w)
		write(b)
		err = errors.Join(err, b.Flush())
	}
	rows := func(each func(row int, cells []string)) {
		each(0, columns)
		for n := range count {
			each(n+1, cells(n))
		}
	}
	for name, content := range map[string]string{
		"[Content_Types].xml": `<Types/>`,
		"xl/workbook.xml":     `<workbook><sheets><sheet name="Leads" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="rId2" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
	} {
		part(name, func(w *bufio.Writer) { fmt.Fprintln(w, content) })
	}
	part("xl/sharedStrings.xml", func(w *bufio.Writer) {
		fmt.Fprintln(w, `<sst>`)
		rows(func(_ int, cells []string) {
			for _, text := range cells {
				fmt.Fprintf(w, "<si><t>%s</t></si>\n", html.EscapeString(text))
			}
		})
		fmt.Fprintln(w, `</sst>`)
	})
	part("xl/worksheets/sheet1.xml", func(w *bufio.Writer) {
		fmt.Fprintln(w, `<worksheet><sheetData>`)
		rows(func(row int, cells []string) {
			fmt.Fprintf(w, `<row r="%d">`, row+1)
			for i := range cells {
				writeCell(w, row, i, cells)
			}
			fmt.Fprintln(w, `</row>`)
		})
		fmt.Fprintln(w, `</sheetData></worksheet>`)
	})
	return errors.Join(err, z.Close(), f.Close())
}

// writeCell refers to a text, or holds a phone number as the number that Excel
// makes of it.
func writeCell(w io.Writer, row, column int, cells []string) {
	const phone = 8
	if digits := cells[column]; column == phone && row > 0 {
		fmt.Fprintf(w, `<c r="%c%d"><v>%s%s%s</v></c>`, 'A'+column, row+1, digits[:3], digits[4:7], digits[8:])
		return
	}
	fmt.Fprintf(w, `<c r="%c%d" t="s"><v>%d</v></c>`, 'A'+column, row+1, row*len(cells)+column)
}
