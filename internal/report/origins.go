package report

import (
	"cmp"
	"io"
	"slices"
	"time"

	"importer/internal/importer"
)

// OriginGroup is a drop with the duplicates of its leads, or a dialer with those
// of leads that it had from somebody else.
type OriginGroup struct {
	From      string     `csv:"from" json:"from"` // drop or dialer
	Dialer    string     `csv:"dialer" json:"dialer"`
	Feed      string     `csv:"feed" json:"feed,omitempty"`
	Drop      *int64     `csv:"drop" json:"drop,omitempty"`
	Name      string     `csv:"name" json:"name,omitempty"`
	FirstSeen *time.Time `csv:"first_seen" json:"first_seen,omitempty"`
	Doubles
}

func (g OriginGroup) cells() []any {
	drop, seen := "", ""
	if g.Drop != nil {
		drop, seen = someID(*g.Drop), When(*g.FirstSeen)
	}
	return append([]any{g.From, g.Dialer, g.Feed, drop, printable(g.Name), seen}, g.Doubles.cells()...)
}

// Doubles are duplicates, and how many of them stand in the same drop as the
// lead's first row.
type Doubles struct {
	Rows   int `csv:"rows" json:"rows"`
	Within int `csv:"same_drop" json:"same_drop"`
}

func (d Doubles) cells() []any { return []any{d.Rows, d.Within} }

// Origins writes where the leads of duplicates came from first, the most
// frequent first.
func Origins(w io.Writer, f Format, origins []importer.Origin) error {
	var groups []OriginGroup
	var all Doubles
	origins = slices.SortedFunc(slices.Values(origins), func(a, b importer.Origin) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Drop.ID, b.Drop.ID), cmp.Compare(a.Dialer, b.Dialer))
	})
	for _, o := range origins {
		g := OriginGroup{From: "dialer", Dialer: o.Dialer, Doubles: Doubles{o.Rows, o.Within}}
		if d := o.Drop; d.ID != 0 {
			seen := d.FirstSeen.UTC()
			g.From, g.Feed, g.Drop, g.Name, g.FirstSeen = "drop", d.Feed, &d.ID, d.Name, &seen
		}
		if f == CSV {
			g.Name = Harmless(g.Name)
		}
		all.Rows += o.Rows
		all.Within += o.Within
		groups = append(groups, g)
	}
	header := []any{"first from", "dialer", "feed", "drop", "name", "first seen", "duplicates", "in the same drop"}
	return writeGroups(w, f, ByDuplicates, header, groups, all)
}
