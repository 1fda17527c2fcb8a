package importer

import (
	"context"
	"fmt"
	"slices"
)

// isReadAlike refuses to read on in a file that is read otherwise than when its
// first rows were recorded, under other settings or by another version: where
// the next row begins could not be told, and some would be left out.
func (d *delivery) isReadAlike(reader Reader) error {
	if d.fed.Recorded == 0 || slices.Equal(d.fed.Header, reader.Header()) {
		return nil
	}
	return &HoldError{fmt.Sprintf("%s cannot be read on behind its first %d rows: its header is read otherwise than when they were recorded; "+
		"undo the change of the feed's settings, let the feed's next start bring the file to its end, and make the change then", d.drop.Name, d.fed.Recorded)}
}

// checkHeader tells that a drop's columns are others than those of the feed's
// last drop, before any of its rows is recorded. A drop in which something is
// missing that was read then is held, unless a person or the feed's
// configuration says otherwise. A header that the feed has had before is known:
// the files of an archive may differ.
func (d *delivery) checkHeader(ctx context.Context, reader Reader) error {
	if d.fed.Recorded > 0 || d.released {
		return nil
	}
	var last Drop
	err := d.patiently(ctx, func(ctx context.Context) (err error) {
		last, err = d.Ledger.LastDone(ctx, d.run.feed.Name, reader.Header())
		return err
	})
	if err != nil || last.ID == 0 {
		return err
	}
	what, lost := reader.Changed(last.Header, last.Fields)
	switch {
	case what == "":
	case lost && d.run.feed.OnHeaderChange == "stop":
		return &HoldError{Why: fmt.Sprintf("not all columns are there that were used in the feed's last drop, %d (%s): %s; "+
			"look with importer check how the columns are read now, and if that is right, write importer release %d; "+
			"files of another kind need a feed of their own", last.ID, last.Name, what, d.drop.ID)}
	default:
		d.Log.Warn("the columns are others than in the feed's last drop", "file", d.drop.Name, "last", last.Name, "change", what)
	}
	return nil
}
