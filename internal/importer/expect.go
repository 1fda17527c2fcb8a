package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Expect says how large a feed's drops are. A drop outside of it is held for a
// person: a vendor's file that was cut off or exported without a filter looks
// like any other. 0 is no limit.
type Expect struct {
	MinRows, MaxRows   int
	MinBytes, MaxBytes int64 // unpacked
}

// Judge says why a drop is to be held; empty: it need not be. rows is counted
// only as far as it matters.
func (e Expect) Judge(bytes int64, rows func(most int) (int, error)) (string, error) {
	switch {
	case e.MinBytes > 0 && bytes < e.MinBytes:
		return fmt.Sprintf("its %d bytes are fewer than expect.min_bytes, %d", bytes, e.MinBytes), nil
	case e.MaxBytes > 0 && bytes > e.MaxBytes:
		return fmt.Sprintf("its %d bytes are more than expect.max_bytes, %d", bytes, e.MaxBytes), nil
	case e.MinRows == 0 && e.MaxRows == 0:
		return "", nil
	}
	n, err := rows(max(e.MinRows, e.MaxRows+1))
	switch {
	case err != nil:
		return "", err
	case n < e.MinRows:
		return fmt.Sprintf("it has fewer rows (%d) than expect.min_rows, %d", n, e.MinRows), nil
	case e.MaxRows > 0 && n > e.MaxRows:
		return fmt.Sprintf("it has more rows than expect.max_rows, %d", e.MaxRows), nil
	}
	return "", nil
}

// checkSize holds a drop of which nothing is recorded when its size is not as
// expected.
func (d *delivery) checkSize(ctx context.Context) error {
	if d.fed.Recorded > 0 || d.released {
		return nil
	}
	why, err := d.run.feed.Expect.Judge(d.drop.Bytes, func(most int) (int, error) { return d.countRows(ctx, most) })
	if err != nil || why == "" {
		return err
	}
	return &HoldError{Why: fmt.Sprintf("%s: if the vendor means it so, write importer release %d", why, d.drop.ID)}
}

// countRows reads the drop up to so many rows.
func (d *delivery) countRows(ctx context.Context, most int) (int, error) {
	reader, err := d.in.Open()
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	for n := range most {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if _, err := reader.Next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return most, nil
}
