// Package docs_test holds the documentation to the code.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"importer/internal/importer"
	"importer/internal/nonagent"
)

// sources parses a package's files, its tests left out.
func sources(t *testing.T, folder string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	require.NotEmpty(t, files, folder)
	return files
}

// constants finds the string constants of one type, by name.
func constants(t *testing.T, folder, typ string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, f := range sources(t, folder) {
		for _, decl := range f.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, s := range group.Specs {
				spec := s.(*ast.ValueSpec)
				if typeName(spec.Type) != typ {
					continue
				}
				for i, name := range spec.Names {
					lit, ok := spec.Values[i].(*ast.BasicLit)
					require.True(t, ok && lit.Kind == token.STRING, "%s: %s is not spelt out as a text", folder, name.Name)
					text, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					found[name.Name] = text
				}
			}
		}
	}
	return found
}

// typeName is a type's name without its package.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// cells are the trimmed cells of a Markdown table's line.
func cells(line string) []string {
	parts := strings.Split(strings.Trim(line, "| \n"), "|")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	return parts
}

func TestReasonsPageListsEveryReasonOfTheCode(t *testing.T) {
	t.Parallel()
	var coded []string
	for _, room := range []string{"lead", "importer", "nonagent"} {
		reasons := constants(t, "../internal/"+room, "Reason")
		require.NotEmpty(t, reasons, "no reasons were found in %s: does this test still read the code?", room)
		for _, code := range reasons {
			coded = append(coded, code)
		}
	}

	var told []string
	for line := range strings.Lines(read(t, "reasons.md")) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		c := cells(line)
		require.Len(t, c, 5, "code, outcome, meaning, cause, cure: %s", line)
		for _, cell := range c {
			require.NotEmpty(t, cell, line)
		}
		require.Contains(t, []string{"SUCCESS", "ERROR", "DUPLICATE", "INVALID", "REVIEW", "PENDING", "stop", "–"}, c[1], line)
		told = append(told, strings.Trim(c[0], "`"))
	}
	require.ElementsMatch(t, coded, told, "docs/reasons.md and the code must list the same reasons, each once")
}

func TestReasonsPageTellsTheReasonsThatRetryTakes(t *testing.T) {
	t.Parallel()
	var told []importer.Reason
	for line := range strings.Lines(read(t, "reasons.md")) {
		if c := cells(line); strings.HasPrefix(line, "| `") && (c[1] == "ERROR" || c[1] == "REVIEW") {
			told = append(told, importer.Reason(strings.Trim(c[0], "`")))
		}
	}
	require.ElementsMatch(t, append(nonagent.Refusals(), importer.GivenUp()...), told)
}

var (
	link    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noLink  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the places of a page that a link can lead to.
func anchors(text string) (found []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found = append(found, strings.ReplaceAll(noLink.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return found
}

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := fs.Glob(os.DirFS(".."), "*.md")
	require.NoError(t, err)
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		more, err := fs.Glob(os.DirFS(".."), pattern)
		require.NoError(t, err)
		pages = append(pages, more...)
	}
	links := 0
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(read(t, filepath.Join("..", page)), -1) {
			links++
			target := filepath.Join("..", filepath.Dir(page), m[1])
			if m[1] == "" {
				target = filepath.Join("..", page)
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s has a link to %s", page, m[1])
			if m[2] != "" {
				require.Contains(t, anchors(read(t, target)), m[2], "%s has a link to %s#%s", page, m[1], m[2])
			}
		}
	}
	require.NotZero(t, links)
}

func TestThePageOnVICIdialNamesTheFunctionsThatAreCalled(t *testing.T) {
	t.Parallel()
	require.Contains(t, read(t, "connecting-vicidial.md"), "| Allowed API Functions | `"+strings.Join(nonagent.Functions(), " ")+"`")
}
