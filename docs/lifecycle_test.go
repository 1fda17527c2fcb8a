package docs_test

import (
	"crypto/sha256"
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/lead"
	"importer/internal/ledger/ledgertest"
)

// edge is an arrow of the drawing; "" stands for [*].
type edge struct{ from, to importer.State }

var arrow = regexp.MustCompile(`(?m)^\s*(\[\*\]|\w+) --> (\[\*\]|\w+)`)

// drawing reads the mermaid block.
func drawing(t *testing.T) map[edge]bool {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, "row-lifecycle.md"), "```mermaid\nstateDiagram-v2\n")
	require.True(t, ok, "the page has no drawing")
	block, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	drawn := map[edge]bool{}
	for _, m := range arrow.FindAllStringSubmatch(block, -1) {
		state := func(s string) importer.State { return importer.State(strings.TrimPrefix(s, "[*]")) }
		drawn[edge{state(m[1]), state(m[2])}] = true
	}
	require.Len(t, drawn, strings.Count(block, "-->"), "every arrow is read, and drawn once")
	return drawn
}

// states are the constants of type State.
func states(t *testing.T) []importer.State {
	t.Helper()
	var all []importer.State
	for _, s := range constants(t, "../internal/importer", "State") {
		all = append(all, importer.State(s))
	}
	slices.Sort(all)
	return all
}

// out are the states that the drawing lets one go to.
func out(drawn map[edge]bool, from importer.State) []importer.State {
	var to []importer.State
	for e := range drawn {
		if e.from == from && e.to != "" {
			to = append(to, e.to)
		}
	}
	return to
}

func TestDrawingShowsEveryState(t *testing.T) {
	t.Parallel()
	drawn := drawing(t)
	var shown []importer.State
	for e := range drawn {
		shown = append(shown, e.from, e.to)
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	require.Equal(t, states(t), shown[1:], "the first is [*]")

	for _, s := range states(t) {
		require.Equal(t, s.Outcome() != importer.OutcomePending, drawn[edge{s, ""}], "a row may end as %s if that is an outcome", s)
	}
}

// table returns the lines of a section's table, without its head.
func table(t *testing.T, section string, columns int) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, "row-lifecycle.md"), "\n## "+section+"\n")
	require.True(t, ok, section)
	rest, _, _ = strings.Cut(rest, "\n## ")
	var lines [][]string
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "| `") || strings.HasPrefix(line, "| – ") {
			c := cells(line)
			require.Len(t, c, columns, line)
			lines = append(lines, c)
		}
	}
	require.NotEmpty(t, lines, section)
	return lines
}

func TestTablesTellWhatIsDrawn(t *testing.T) {
	t.Parallel()
	state := func(s string) importer.State { return importer.State(strings.Trim(s, "`–")) }
	outcomes := map[importer.State]importer.Outcome{}
	for _, c := range table(t, "States", 4) {
		outcomes[state(c[0])] = importer.Outcome(c[1])
	}
	for _, s := range states(t) {
		require.Equal(t, s.Outcome(), outcomes[s], "outcome of %s", s)
	}
	require.Len(t, outcomes, len(states(t)))

	told := map[edge]bool{}
	for _, c := range table(t, "Transitions", 4) {
		told[edge{state(c[0]), state(c[1])}] = true
	}
	drawn := drawing(t)
	for e := range drawn {
		if e.to == "" {
			delete(drawn, e)
		}
	}
	require.Equal(t, drawn, told)
}

// TestDeliveryAsksForWhatIsDrawn reads the delivery's source: the states in
// which its settlements find a row, and those to which they move it.
func TestDeliveryAsksForWhatIsDrawn(t *testing.T) {
	t.Parallel()
	byName := constants(t, "../internal/importer", "State")
	asked := map[edge]bool{}
	for _, f := range sources(t, "../internal/importer") {
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				settlements(t, fn, byName, asked)
			}
		}
	}
	drawn, want := drawing(t), map[edge]bool{}
	for e := range drawn {
		// unknown → rejected is a late answer's alone: it was asked for as
		// armed → rejected, and granted after somebody had called it lost.
		if (e.from == importer.Armed || e.from == importer.Unknown) && e.to != "" && e != (edge{importer.Unknown, importer.Rejected}) {
			want[e] = true
		}
	}
	require.Equal(t, want, asked)
}

// settlements collects what one function asks for. A Settlement names the
// state that it starts from where it is made; where it goes to stands there
// too, or is assigned to .To in the same function. conclude is called with it.
func settlements(t *testing.T, fn *ast.FuncDecl, byName map[string]string, asked map[edge]bool) {
	t.Helper()
	state := func(e ast.Expr) importer.State {
		id, ok := e.(*ast.Ident)
		if !ok {
			return ""
		}
		return importer.State(byName[id.Name])
	}
	var from importer.State
	var to []importer.State
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if typeName(n.Type) != "Settlement" {
				return true
			}
			for _, e := range n.Elts {
				kv := e.(*ast.KeyValueExpr)
				switch typeName(kv.Key) {
				case "From":
					require.Empty(t, from, "%s makes two kinds of settlements, which this test cannot tell apart", fn.Name.Name)
					from = state(kv.Value)
					require.NotEmpty(t, from, "%s: From is a constant", fn.Name.Name)
				case "To":
					if s := state(kv.Value); s != "" {
						to = append(to, s)
					} else {
						require.Equal(t, "conclude", fn.Name.Name, "To is a constant everywhere else")
					}
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				sel, ok := left.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "To" {
					continue
				}
				require.Len(t, n.Rhs, len(n.Lhs), fn.Name.Name)
				s := state(n.Rhs[i])
				require.NotEmpty(t, s, "%s: To is set to a constant", fn.Name.Name)
				to = append(to, s)
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if ok && sel.Sel.Name == "conclude" {
				s := state(n.Args[1])
				require.NotEmpty(t, s, "%s: conclude is called with a constant", fn.Name.Name)
				asked[edge{importer.Unknown, s}] = true
			}
		}
		return true
	})
	require.False(t, from == "" && len(to) > 0, "%s says where rows go to, not from where", fn.Name.Name)
	for _, s := range to {
		asked[edge{from, s}] = true
	}
	if fn.Name.Name == "conclude" {
		require.Equal(t, importer.Unknown, from, "conclude is about lost answers")
	}
}

const (
	holder     = 1
	other      = 2
	sendWithin = time.Hour
)

// bench is a ledger with one drop of one lead.
type bench struct {
	*ledgertest.Fake
	drop importer.Drop
}

func newBench(t *testing.T, row importer.NewRow) *bench {
	t.Helper()
	b := &bench{Fake: ledgertest.NewFake()}
	b.record(t, "monday.csv", row)
	return b
}

// record makes a drop of one row and returns the row's state.
func (b *bench) record(t *testing.T, name string, row importer.NewRow) importer.State {
	t.Helper()
	d, err := b.OpenDrop(t.Context(), importer.Drop{Feed: "acme", Dialer: "main", Name: name, SHA256: sha256.Sum256([]byte(name))})
	require.NoError(t, err)
	d, err = b.LeaseDrop(t.Context(), d.ID, holder, time.Hour)
	require.NoError(t, err)
	got, err := b.Record(t.Context(), d, 1, holder, 0, []importer.NewRow{row}, true, 0)
	require.NoError(t, err)
	require.Len(t, got, 1)
	if b.drop.ID == 0 {
		b.drop = d
	}
	return got[0].State
}

func newRow() importer.NewRow {
	return importer.NewRow{Record: 1, Line: 2, Claim: importer.ClaimKey{1}, Lead: lead.Lead{PhoneNumber: "3055550123", ListID: "101"}}
}

// bring takes the row to armed or unknown.
func (b *bench) bring(t *testing.T, to importer.State) {
	t.Helper()
	armed, err := b.Arm(t.Context(), b.drop, 1, holder, []importer.Item{{Record: 1}}, sendWithin, 0)
	require.NoError(t, err)
	require.Equal(t, []int{1}, armed)
	if to == importer.Unknown {
		require.True(t, b.grants(t, holder, importer.Armed, importer.Unknown))
	}
}

// grants asks for a move and tells whether it was made.
func (b *bench) grants(t *testing.T, by int64, from, to importer.State) bool {
	t.Helper()
	missed, err := b.Settle(t.Context(), b.drop, 1, by, 0, []importer.Settlement{{Record: 1, Attempt: 1, From: from, To: to}})
	require.NoError(t, err)
	return len(missed) == 0
}

func (b *bench) state(t *testing.T) importer.State {
	t.Helper()
	counts, err := b.Tally(t.Context(), b.drop)
	require.NoError(t, err)
	for sr := range counts {
		return sr.State
	}
	return ""
}

func TestLedgerGrantsWhatIsDrawnAndNothingElse(t *testing.T) {
	t.Parallel()
	drawn := drawing(t)
	for _, from := range []importer.State{importer.Armed, importer.Unknown} {
		for _, to := range states(t) {
			if from == to {
				continue
			}
			b := newBench(t, newRow())
			b.bring(t, from)
			require.Equal(t, drawn[edge{from, to}], b.grants(t, holder, from, to), "%s → %s", from, to)
			if drawn[edge{from, to}] {
				require.Equal(t, to, b.state(t))
			} else {
				require.Equal(t, from, b.state(t))
			}
		}
	}
}

func TestRowsThatEndedStayEnded(t *testing.T) {
	t.Parallel()
	for _, end := range out(drawing(t), importer.Armed) {
		if end.Outcome() == importer.OutcomePending {
			continue
		}
		for _, from := range []importer.State{importer.Armed, importer.Unknown} {
			for _, to := range states(t) {
				b := newBench(t, newRow())
				b.bring(t, importer.Armed)
				require.True(t, b.grants(t, holder, importer.Armed, end))
				b.grants(t, holder, from, to)
				require.Equal(t, end, b.state(t), "%s, then asked for %s → %s", end, from, to)
			}
		}
	}
}

func TestLateAnswersSayWhatTheDialerSaidAndNoMore(t *testing.T) {
	t.Parallel()
	for _, to := range states(t) {
		if to == importer.Unknown { // it is that already
			continue
		}
		late := slices.Contains([]importer.State{importer.Succeeded, importer.Rejected, importer.Duplicate}, to)
		b := newBench(t, newRow())
		b.bring(t, importer.Unknown)
		require.Equal(t, late, b.grants(t, holder, importer.Armed, to), "late %s", to)
	}
}

func TestOnlyItsHolderMovesAnArmedRowBeforeItsCallHasEnded(t *testing.T) {
	t.Parallel()
	for _, to := range out(drawing(t), importer.Armed) {
		b := newBench(t, newRow())
		b.bring(t, importer.Armed)
		require.False(t, b.grants(t, other, importer.Armed, to), "armed → %s by another", to)
	}
}

func TestRowsAreRecordedAsDrawn(t *testing.T) {
	t.Parallel()
	b := newBench(t, newRow())
	require.Equal(t, importer.Pending, b.state(t))
	refused := newRow()
	refused.Refusal = &lead.Refusal{Reason: lead.PhoneMissing}
	got := []importer.State{
		importer.Pending,
		b.record(t, "tuesday.csv", newRow()),
		b.record(t, "wednesday.csv", refused),
	}
	require.ElementsMatch(t, out(drawing(t), ""), got)
}

func TestPendingRowsAreArmedAndNothingElse(t *testing.T) {
	t.Parallel()
	drawn := drawing(t)
	require.Equal(t, []importer.State{importer.Armed}, out(drawn, importer.Pending))
	b := newBench(t, newRow())
	b.bring(t, importer.Armed)
	require.Equal(t, importer.Armed, b.state(t))
}

func TestClaimsAreReleasedAsToldToTheDuplicate(t *testing.T) {
	t.Parallel()
	drawn := drawing(t)
	require.Equal(t, []importer.State{importer.Pending}, out(drawn, importer.Duplicate))
	releases := map[importer.State]bool{}
	for _, c := range table(t, "States", 4) {
		releases[importer.State(strings.Trim(c[0], "`"))] = c[3] == "released"
	}
	for _, end := range out(drawn, importer.Armed) {
		b := newBench(t, newRow())
		first := b.drop
		b.bring(t, importer.Armed)
		require.Equal(t, importer.Duplicate, b.record(t, "tuesday.csv", newRow()))
		require.True(t, b.grants(t, holder, importer.Armed, end))
		want := importer.Duplicate
		if releases[end] {
			want = importer.Pending
		}
		b.drop = importer.Drop{ID: first.ID + 1}
		require.Equal(t, want, b.state(t), "the first row ended as %s", end)
	}
}

func TestLedgerRetriesWhatIsDrawn(t *testing.T) {
	t.Parallel()
	drawn := map[edge]bool{}
	for e := range drawing(t) {
		if e.to != "" && slices.Contains([]importer.State{importer.Rejected, importer.Failed, importer.Review}, e.from) {
			drawn[e] = true
		}
	}
	granted := map[edge]bool{}
	for _, end := range states(t) {
		for _, claimed := range []bool{false, true} {
			b := newBench(t, newRow())
			switch end {
			case importer.Pending, importer.Invalid:
				continue
			case importer.Unknown, importer.Review:
				b.bring(t, importer.Unknown)
			default:
				b.bring(t, importer.Armed)
			}
			if end != importer.Armed && end != importer.Unknown {
				from := importer.Armed
				if end == importer.Review {
					from = importer.Unknown
				}
				require.True(t, b.grants(t, holder, from, end))
			}
			if claimed {
				b.record(t, "tuesday.csv", newRow())
			}
			_, err := b.Retry(t.Context(), b.drop, holder, importer.Retried{States: states(t)}, 0, 1, 0)
			require.NoError(t, err)
			if to := b.state(t); to != end {
				granted[edge{end, to}] = true
			}
		}
	}
	require.Equal(t, drawn, granted)
}
