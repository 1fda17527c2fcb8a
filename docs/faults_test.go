package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tests are the names of all tests in the tree.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
		return nil
	}))
	return names
}

var testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")

func TestEachFaultNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	known := tests(t)
	var faults []int
	for line := range strings.Lines(read(t, "faults.md")) {
		number, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " ")
		n, err := strconv.Atoi(number)
		if ok = ok && err == nil && strings.HasPrefix(line, "| "); ok {
			faults = append(faults, n)
		}
		named := testName.FindAllStringSubmatch(line, -1)
		require.False(t, ok && len(named) == 0, "no test is named: %s", line)
		for _, m := range named {
			require.True(t, known[m[1]], "there is no test %s", m[1])
		}
	}
	var all []int
	for n := range 55 {
		all = append(all, n+1)
	}
	require.Equal(t, all, faults)
}

func TestEachPromiseNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	known := tests(t)
	promises := 0
	for line := range strings.Lines(read(t, "promises.md")) {
		named := testName.FindAllStringSubmatch(line, -1)
		for _, m := range named {
			require.True(t, known[m[1]], "there is no test %s", m[1])
		}
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| promise ") {
			require.NotEmpty(t, named, "no test is named: %s", line)
			promises++
		}
	}
	require.Equal(t, 8, promises, "the seven of the README, and that of the schedule")
}
