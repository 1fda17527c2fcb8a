package container

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// book is an Excel workbook (.xlsx): a ZIP archive of XML parts. It is read
// part by part as a stream; a library that holds the file, or a sheet, in
// memory does not do.
type book struct {
	*unpacker
	name    string
	parts   map[string]*zip.File // by path, in lower case
	main    string               // path of the part that lists the sheets
	date04  bool                 // days are counted from 1904
	sheets  []sheetEntry
	targets map[string]string // of the workbook's relations: paths by id
	strings string            // path of the shared strings, empty for none
	styles  string            // path of the styles, empty for none
}

type sheetEntry struct {
	name, relation string
	hidden         bool
}

// newBook returns nil for an archive that is no workbook.
func newBook(u *unpacker, name string, z *zip.Reader) (*book, error) {
	b := &book{unpacker: u, name: name, parts: map[string]*zip.File{}, targets: map[string]string{}, main: "xl/workbook.xml"}
	for _, f := range z.File {
		b.parts[partName(f.Name)] = f
	}
	if b.parts[contentTypes] == nil {
		return nil, nil
	}
	if b.parts[b.main] != nil {
		return b, nil
	}
	// A few programs call it otherwise.
	b.main = ""
	err := b.each(contentTypes, func(_ *tokens, e element) error {
		kind := strings.ToLower(e.attr("ContentType"))
		if e.start && e.name == "Override" && strings.HasSuffix(kind, ".main+xml") && (strings.Contains(kind, "spreadsheetml") || strings.Contains(kind, "ms-excel")) {
			b.main = partName(e.attr("PartName"))
		}
		return nil
	})
	if err != nil || b.parts[b.main] == nil {
		return nil, err
	}
	return b, nil
}

const contentTypes = "[content_types].xml"

// partName is a part's path as it is compared.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/"))
}

// beside is the path of what the main part names.
func (b *book) beside(target string) string {
	target = strings.ReplaceAll(target, `\`, "/")
	if !strings.HasPrefix(target, "/") {
		target = path.Join("/", path.Dir(b.main), target)
	}
	return partName(target)
}

// unpack puts each visible sheet that holds something. A workbook without any
// is an empty file.
func (b *book) unpack() error {
	if err := errors.Join(b.readWorkbook(), b.readRelations()); err != nil {
		return err
	}
	formats, err := b.readFormats()
	if err != nil {
		return err
	}
	shared, err := b.readShared()
	if err != nil {
		return err
	}
	defer shared.close()
	found, firstEmpty := false, ""
	for _, e := range b.sheets {
		target, ok := b.targets[e.relation]
		if !ok {
			continue // a chart
		}
		name := b.name + "/" + label(strings.ReplaceAll(e.name, "/", "_"))
		if e.hidden {
			b.Say(fmt.Sprintf("%s: the sheet is hidden in the workbook and was left out", name))
			continue
		}
		s := &sheet{book: b, name: name, formats: formats, shared: shared}
		had, err := b.putSheet(s, target)
		if err != nil {
			return err
		}
		found = found || had
		if firstEmpty == "" {
			firstEmpty = name
		}
	}
	if found {
		return nil
	}
	if firstEmpty == "" {
		return &Error{Name: b.name, Why: "the workbook has no visible sheet: unhide the one with the contacts"}
	}
	b.Within(b.within)
	return b.put(firstEmpty, strings.NewReader(""))
}

// putSheet tells whether the sheet held anything.
func (b *book) putSheet(s *sheet, target string) (bool, error) {
	part, err := b.part(target)
	if err != nil {
		return false, err
	}
	if part == nil {
		return false, missing(b.name, target)
	}
	defer part.Close()
	s.xml = newTokens(part)
	some, err := s.begin()
	if err != nil || !some {
		return false, orDamaged(s.name, err)
	}
	out := &output{name: s.name, r: s, allowed: &b.allowed}
	b.Within(b.within)
	err = b.put(s.name, out)
	if err == nil {
		_, err = io.Copy(io.Discard, out)
	}
	if out.err != nil {
		return true, out.err
	}
	if err == nil {
		s.sayNotes()
	}
	return true, err
}

func orDamaged(name string, err error) error {
	if err == nil {
		return nil
	}
	return damaged(name, err)
}

// part opens a part of the workbook; nil when there is no such part. What is
// read from it counts.
func (b *book) part(name string) (io.ReadCloser, error) {
	f := b.parts[name]
	if f == nil {
		return nil, nil
	}
	r, err := open(b.name, f)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&output{name: b.name, r: r, allowed: &b.allowed}, r}, nil
}

// each calls do with each token of a part that may be missing.
func (b *book) each(name string, do func(t *tokens, e element) error) error {
	part, err := b.part(name)
	if err != nil || part == nil {
		return err
	}
	defer part.Close()
	t := newTokens(part)
	for {
		e, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = do(t, e)
		}
		if err != nil {
			return damaged(b.name, err)
		}
	}
}

func (b *book) readWorkbook() error {
	return b.each(b.main, func(_ *tokens, e element) error {
		switch {
		case !e.start:
		case e.name == "workbookPr":
			b.date04 = isTrue(e.attr("date1904"))
		case e.name == "sheet":
			if len(b.sheets) == b.MaxMembers {
				return fmt.Errorf("it has more than %d sheets", b.MaxMembers)
			}
			state := e.attr("state")
			b.sheets = append(b.sheets, sheetEntry{
				name: short(e.attr("name")), relation: short(e.attr("id")), hidden: state == "hidden" || state == "veryHidden",
			})
		}
		return nil
	})
}

// short cuts what is kept of a workbook's own description: it could fill the
// memory.
func short(text string) string { return text[:min(len(text), longestCode)] }

func (b *book) readRelations() error {
	relations := partName(path.Dir(b.main) + "/_rels/" + path.Base(b.main) + ".rels")
	if b.parts[relations] == nil {
		return missing(b.name, relations)
	}
	for kind, usual := range map[*string]string{&b.strings: "sharedstrings.xml", &b.styles: "styles.xml"} {
		if at := b.beside(usual); b.parts[at] != nil {
			*kind = at // although no relation may say so
		}
	}
	return b.each(relations, func(_ *tokens, e element) error {
		if !e.start || e.name != "Relationship" || len(b.targets) == b.MaxMembers {
			return nil
		}
		target := b.beside(short(e.attr("Target")))
		switch kind := path.Base(e.attr("Type")); kind {
		case "worksheet":
			b.targets[short(e.attr("Id"))] = target
		case "sharedStrings":
			b.strings = target
		case "styles":
			b.styles = target
		}
		return nil
	})
}

func missing(name, part string) error {
	return damaged(name, fmt.Errorf("the part %s is missing", label(part)))
}

// readFormats reads how the numbers of each cell style are shown.
func (b *book) readFormats() ([]*numberFormat, error) {
	const most, mostCodes = 70_000, 5000 // Excel's own limits are 65,490 and 250
	custom := map[string]string{}
	var formats []*numberFormat
	known := map[string]*numberFormat{}
	within := false
	if b.styles == "" {
		return nil, nil
	}
	err := b.each(b.styles, func(_ *tokens, e element) error {
		switch {
		case e.name == "cellXfs":
			within = e.start
		case !e.start:
		case e.name == "numFmt" && len(custom) < mostCodes:
			if id, code := e.attr("numFmtId"), e.attr("formatCode"); len(id)+len(code) <= longestCode {
				custom[id] = code
			}
		case e.name == "xf" && within && len(formats) < most:
			id := e.attr("numFmtId")
			code, ok := custom[id]
			if !ok {
				code = builtin[id]
			}
			if known[code] == nil {
				known[code] = parseFormat(code)
			}
			formats = append(formats, known[code])
		}
		return nil
	})
	return formats, err
}
