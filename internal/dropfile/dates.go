package dropfile

import (
	"errors"
	"fmt"
	"io"

	"importer/internal/lead"
)

// dateFields are those whose dates may be written in several orders.
var dateFields = []string{"date_of_birth", callbackAt}

// dateColumn is what a date field is read from.
type dateColumn struct {
	field string
	value func(cells []string) string
}

// dateColumns are the date fields that the table brings.
func (m *mapper) dateColumns(of map[string]int) []dateColumn {
	var found []dateColumn
	for _, field := range dateFields {
		if at, ok := of[field]; ok {
			found = append(found, dateColumn{field, func(cells []string) string { return cells[at] }})
		}
		for i := range m.made {
			if mk := &m.made[i]; mk.target == field {
				found = append(found, dateColumn{field, func(cells []string) string { return mk.text(&lead.Lead{}, cells) }})
			}
		}
	}
	return found
}

// seeDates notes what a record's dates show.
func (m *mapper) seeDates(cells []string) {
	for _, c := range m.dated {
		m.dates[c.field] = m.dates[c.field].With(c.value(cells))
	}
}

// seeAllDates reads the whole file for how its columns write dates: one that can
// be read in one way only may stand in its last row, and decides about the
// first. A record that is too long ends the look, as it will
// end the reading.
func (d *Reader) seeAllDates(file io.ReadSeeker, begin int64, o Options) error {
	if len(d.mapper.dated) == 0 || o.DateOrder == lead.DayFirst || o.DateOrder == lead.MonthFirst {
		return nil
	}
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("finding the place in the file: %w", err)
	}
	if _, err := file.Seek(begin, io.SeekStart); err != nil {
		return fmt.Errorf("going back to the file's beginning: %w", err)
	}
	t, err := OpenTable(file, o)
	if err != nil {
		return err
	}
	err = t.each(func(rec Record) error {
		if rec.Refusal == nil {
			d.mapper.seeDates(rec.Cells)
		}
		return nil
	})
	// Dates must not be read by half of them because a disk failed for a moment.
	if long := (*RecordError)(nil); err != nil && !errors.As(err, &long) {
		return err
	}
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return fmt.Errorf("going back to the place in the file: %w", err)
	}
	return nil
}
