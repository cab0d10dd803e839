package redact

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tracedoc/tracedoc/traceload"
)

// update is read-only after flag parsing; a flag of a test binary has no other home.
var update = flag.Bool("update", false, "rewrite vocabulary.txt and std.txt")

// speakers are the folders whose texts reports are made of.
var speakers = []string{"../detectors", "../traceload", "../source", "../scenes", "../gate"}

// Our own texts must pass: a word that rooms use and that is not in the list
// would become a placeholder.
func TestVocabularyIsCurrent(t *testing.T) {
	words := map[string]bool{}
	note := func(text string) {
		for rest := strings.Trim(verbs.ReplaceAllString(text, " "), " "); rest != ""; {
			var token string
			_, token, rest = nextToken(rest)
			if token = strings.TrimSuffix(token, "'s"); ours(token, text) {
				words[token] = true
			}
		}
	}
	for _, dir := range speakers {
		eachText(t, dir, note)
	}
	for _, text := range runtimeTexts {
		note(text)
	}
	for _, wait := range knownWaits(t) {
		if std()[traceload.PackagePath(wait[0])] {
			for _, text := range wait[2:] {
				note(text)
			}
		}
	}
	for word := range foreign(t) {
		delete(words, word)
	}
	same(t, "vocabulary.txt", slices.Sorted(keys(words)))
}

// runtimeTexts are what the runtime calls what it does itself (Go 1.26:
// traceBlockReasonStrings, stwReasonStrings and the ranges of runtime/traceruntime.go).
var runtimeTexts = []string{
	"chan receive", "chan send", "select", "sync", "sleep", "network", "forever", "system goroutine wait", "preempted", "wait for debug call",
	"GC mark assist wait for work", "GC background sweeper wait", "wait until GC ends", "GC weak to strong wait",
	"GC concurrent mark phase", "GC incremental sweep", "GC mark assist", "GC mark termination", "GC sweep termination",
	"stop-the-world (write heap dump)", "goroutine profile cleanup", "all goroutines stack trace", "read mem stats", "a AllThreadsSyscall", "a GOMAXPROCS",
	"start trace", "stop trace",
}

// verbs are those of fmt.
var verbs = regexp.MustCompile(`%%|%[-+# 0]*(\d+|\*)?(\.\d+|\.\*)?(\[\d+\])?[a-zA-Z]`)

// ours tells whether a token of a text is a word, or several that belong
// together, and no part of a name that we know of the programs of others.
func ours(token, text string) bool {
	sentence := strings.Contains(strings.TrimSpace(text), " ")
	if plain(token) {
		return !isNumber(token) && (sentence || token == strings.ToLower(token))
	}
	switch {
	case token == "", isNumber(token):
		return false
	case strings.HasPrefix(text, "tracedoc/"): // a schema
		return true
	case strings.Contains(token, "/"):
		pkg, _, _ := strings.Cut(token, "'") // "os/exec's"
		if traceload.PackagePath(pkg) != "" {
			pkg = traceload.PackagePath(pkg)
		}
		return std()[pkg] || sentence && strings.HasPrefix(token, "debug/pprof/")
	case strings.Contains(token, "."):
		pkg, _, _ := strings.Cut(token, ".")
		return token == "e.g" || std()[pkg]
	}
	return compound.MatchString(token)
}

var compound = regexp.MustCompile(`^[\pL\d_]+([-'’][\pL\d_]+)*$`)

// eachText yields the string literals of the Go files in a folder and below.
func eachText(t *testing.T, dir string, yield func(string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "patterns" || d.Name() == "detectortest"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				n.Tag = nil
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
					yield(text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// foreign are the names of modules whose waits we know: that a program uses one
// is for its owner to say.
func foreign(t *testing.T) map[string]bool {
	t.Helper()
	names := set("charmlog hclog log15 logr phuslog zerolog") // loggers that rooms know
	for _, wait := range knownWaits(t) {
		if pkg := traceload.PackagePath(wait[0]); !std()[pkg] {
			for _, part := range strings.FieldsFunc(pkg, func(r rune) bool { return !isWord(r) }) {
				if !general[part] {
					names[part] = true
				}
			}
		}
	}
	return names
}

// knownWaits returns the rows of the table of well-known waits, each with its columns.
func knownWaits(t *testing.T) (rows [][]string) {
	t.Helper()
	data, err := os.ReadFile("../detectors/internal/facts/waits/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if row := strings.Split(strings.TrimSpace(line), " | "); len(row) > 2 && !strings.HasPrefix(line, "#") {
			rows = append(rows, row)
		}
	}
	return rows
}

// general are words in the paths of known modules that say nothing by themselves.
var general = set("com org net io in go golang x internal client server pool v2 v3 v4 sync context http test log time cache record schedule trace transport wait")

func TestStdIsCurrent(t *testing.T) {
	out, err := exec.Command("go", "list", "std").Output()
	if err != nil {
		t.Skipf("go list std: %v", err)
	}
	all := set(string(out))
	if *update { // what only other versions have stays
		for pkg := range std() {
			all[pkg] = true
		}
		same(t, "std.txt", slices.Sorted(keys(all)))
	}
	for pkg := range all {
		if !std()[pkg] {
			t.Errorf("std.txt lacks %s; run: go test ./redact -update", pkg)
		}
	}
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// same compares a file with what should be in it, a word a line.
func same(t *testing.T, file string, words []string) {
	t.Helper()
	want := strings.Join(words, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := set(string(data))
	var missing, stale []string
	for _, w := range words {
		if !have[w] {
			missing = append(missing, w)
		}
		delete(have, w)
	}
	stale = slices.Sorted(keys(have))
	if len(missing)+len(stale) > 0 {
		t.Errorf("%s lacks %.200q and has %.200q, which nobody says; run: go test ./redact -update", file, missing, stale)
	}
}
