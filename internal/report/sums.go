package report

import (
	"fmt"
	"math"

	"importer/internal/importer"
)

// Sums are a group's rows by outcome. Rates are parts of all its rows, from 0 to
// 1; a group without rows has none.
type Sums struct {
	Rows          int      `csv:"rows" json:"rows"`
	Success       int      `csv:"success" json:"success"`
	Error         int      `csv:"error" json:"error"`
	Duplicate     int      `csv:"duplicate" json:"duplicate"`
	Invalid       int      `csv:"invalid" json:"invalid"`
	Review        int      `csv:"review" json:"review"`
	Pending       int      `csv:"pending" json:"pending"`
	SuccessRate   *float64 `csv:"success_rate" json:"success_rate"`
	ErrorRate     *float64 `csv:"error_rate" json:"error_rate"`
	DuplicateRate *float64 `csv:"duplicate_rate" json:"duplicate_rate"`
	InvalidRate   *float64 `csv:"invalid_rate" json:"invalid_rate"`
}

func sumsOf(c importer.Counts) Sums {
	s := Sums{
		Rows: c.Rows(), Success: c.Outcome(importer.OutcomeSuccess), Error: c.Outcome(importer.OutcomeError),
		Duplicate: c.Outcome(importer.OutcomeDuplicate), Invalid: c.Outcome(importer.OutcomeInvalid),
		Review: c.Outcome(importer.OutcomeReview), Pending: c.Outcome(importer.OutcomePending),
	}
	rate := func(rows int) *float64 { return ratio(float64(rows), float64(s.Rows)) }
	s.SuccessRate, s.ErrorRate, s.DuplicateRate, s.InvalidRate = rate(s.Success), rate(s.Error), rate(s.Duplicate), rate(s.Invalid)
	return s
}

// ratio is rounded, and nil where there is none.
func ratio(part, whole float64) *float64 {
	const fraction = 1e4
	if whole == 0 {
		return nil
	}
	r := math.Round(part/whole*fraction) / fraction
	return &r
}

var sumsHeader = []any{"rows", "success", "error", "duplicate", "invalid", "review", "pending", "success rate"}

func (s Sums) cells() []any {
	rate := ""
	if s.SuccessRate != nil {
		const percent = 100
		rate = fmt.Sprintf("%.1f %%", *s.SuccessRate*percent)
	}
	return []any{s.Rows, s.Success, s.Error, s.Duplicate, s.Invalid, s.Review, s.Pending, rate}
}

// Effort is what runs took for the rows that they recorded or sent last. A run
// that was killed has no duration, and its rows do not count for the speed.
type Effort struct {
	Calls         int      `csv:"calls" json:"calls"`
	Seconds       float64  `csv:"seconds" json:"seconds"`
	RowsPerSecond *float64 `csv:"rows_per_second" json:"rows_per_second"`
}

// effortOf adds up runs, of which rows tells how many rows each has.
func effortOf(runs []importer.RunInfo, rows map[int64]int) (e Effort) {
	timed := 0
	for _, r := range runs {
		e.Calls += r.Calls
		e.Seconds += r.Seconds
		if r.Seconds > 0 {
			timed += rows[r.ID]
		}
	}
	e.RowsPerSecond = ratio(float64(timed), e.Seconds)
	return e
}

// Work is a group's rows with what they took.
type Work struct {
	Sums
	Effort
}

var workHeader = append(sumsHeader[:len(sumsHeader):len(sumsHeader)], "calls", "took", "rows/s")

func (w Work) cells() []any {
	speed := ""
	if w.RowsPerSecond != nil {
		speed = fmt.Sprintf("%.1f", *w.RowsPerSecond)
	}
	return append(w.Sums.cells(), w.Calls, took(w.Seconds), speed)
}
