package importer

import (
	"context"
	"fmt"
)

// checkHeader tells that a drop's columns are others than those of the feed's
// last drop, before any of its rows is recorded. A drop that lacks a column
// which was used is held, unless a person or the feed's configuration says
// otherwise.
func (d *delivery) checkHeader(ctx context.Context, reader Reader) error {
	if d.fed.Recorded > 0 || d.NewHeader {
		return nil
	}
	var last Drop
	err := d.patiently(ctx, func(ctx context.Context) (err error) {
		last, err = d.Ledger.LastDone(ctx, d.run.feed.Name)
		return err
	})
	if err != nil || last.ID == 0 {
		return err
	}
	what, lost := reader.Changed(last.Header)
	switch {
	case what == "":
	case lost && d.run.feed.OnHeaderChange == "stop":
		return &HoldError{Why: fmt.Sprintf("the header has changed since drop %d of this feed, and a column that was used is gone: %s; "+
			"when the columns are read rightly (see importer check), import the file with --new-header", last.ID, what)}
	default:
		d.Log.Warn("the header has changed since the feed's last drop", "drop", d.drop.ID, "last", last.ID, "change", what)
	}
	return nil
}
