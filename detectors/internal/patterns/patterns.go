// Package patterns holds the repairs that findings suggest: each with the
// reason why it helps and when it does not, and as Go code before and after.
//
// A repair is one file, named after its id, in txtar format:
//
//	why it helps, and when it does not: two to four sentences
//	-- title --
//	one line
//	-- before.go --
//	a complete Go file that has the defect
//	-- after.go --
//	the same, mended
//	-- links --
//	one URL per line
//
// Its code imports the standard library and golang.org/x/sync alone.
//
// To add a repair, add a file; a test says what it lacks.
package patterns

import (
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/tools/txtar"
)

// Pattern is one repair.
type Pattern struct {
	ID     string   // in lower case with dashes: "unlock-before-send"
	Title  string   // what to do, in a few words, without a final period
	Why    string   // one paragraph without line breaks
	Before string   // Go code with the defect, as in After
	After  string   // Go code without package clause and imports, indented by tabs
	Links  []string // where to read on: URLs, at least one
}

//go:embed *.txtar
var files embed.FS

// load parses the patterns of this package, once. That they are sound is
// tested, so it panics otherwise.
var load = sync.OnceValue(func() []Pattern {
	all, err := parseAll(files)
	if err != nil {
		panic(fmt.Sprintf("patterns: %v", err))
	}
	return all
})

// parseAll returns the patterns in the files of fsys, sorted by ID.
func parseAll(fsys fs.FS) ([]Pattern, error) {
	names, err := fs.Glob(fsys, "*.txtar")
	if err != nil {
		return nil, err
	}
	var all []Pattern
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		p, err := parse(name, data)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Pattern) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Has tells whether there is a pattern with that id. It parses nothing.
func Has(id string) bool {
	f, err := files.Open(id + ".txtar")
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// Get returns the pattern with that id, and whether there is one. The result
// is the caller's to change. Only that one is parsed: a report shows few. That
// it is sound is tested, so Get panics otherwise.
func Get(id string) (Pattern, bool) {
	name := id + ".txtar"
	data, err := files.ReadFile(name)
	if err != nil {
		return Pattern{}, false
	}
	p, err := parse(name, data)
	if err != nil {
		panic(fmt.Sprintf("patterns: %v", err))
	}
	return p, true
}

// All returns every pattern, sorted by ID. The result is the caller's to
// change.
func All() []Pattern {
	all := slices.Clone(load())
	for i, p := range all {
		all[i] = p.clone()
	}
	return all
}

func (p Pattern) clone() Pattern {
	p.Links = slices.Clone(p.Links)
	return p
}

// parse reads the pattern in data, the txtar archive in the file of that
// name. Every part must be there, once, and not be empty.
func parse(name string, data []byte) (Pattern, error) {
	archive := txtar.Parse(data)
	p := Pattern{
		ID:  strings.TrimSuffix(name, ".txtar"),
		Why: strings.Join(strings.Fields(string(archive.Comment)), " "),
	}
	if p.Why == "" {
		return p, fmt.Errorf("%s: no text before the first file", name)
	}
	missing := []string{"title", "before.go", "after.go", "links"}
	for _, f := range archive.Files {
		i := slices.Index(missing, f.Name)
		if i < 0 {
			return p, fmt.Errorf("%s: file %q is unknown or there twice", name, f.Name)
		}
		missing = slices.Delete(missing, i, i+1)
		text := strings.TrimSpace(string(f.Data))
		if text == "" {
			return p, fmt.Errorf("%s: %s is empty", name, f.Name)
		}
		var err error
		switch f.Name {
		case "title":
			p.Title = text
		case "before.go":
			p.Before, err = snippet(f.Data)
		case "after.go":
			p.After, err = snippet(f.Data)
		case "links":
			p.Links = strings.Fields(text)
		}
		if err != nil {
			return p, fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
	}
	if len(missing) > 0 {
		return p, fmt.Errorf("%s: no %s", name, strings.Join(missing, ", "))
	}
	return p, nil
}

// snippet returns what follows the package clause and the imports of a Go
// file, which is what a reader wants to see of it. There must be something.
func snippet(src []byte) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", src, parser.ImportsOnly)
	if err != nil {
		return "", err
	}
	end := file.Name.End()
	if n := len(file.Decls); n > 0 { // imports only
		end = file.Decls[n-1].(*ast.GenDecl).End()
	}
	code := strings.TrimSpace(string(src[end-file.FileStart:]))
	if code == "" {
		return "", errors.New("nothing after the imports")
	}
	return code, nil
}
