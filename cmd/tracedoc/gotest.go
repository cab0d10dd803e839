package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// goTest is a command line of go test, taken apart as go test does it itself
// (cmd/go/internal/test/testflag.go).
type goTest struct {
	goTool   string
	chdir    []string // -C DIR, which must come first
	packages []string // as they were named; none for the package in the working directory
	rest     []string // all that is neither: flags, and what the tests get
	listing  []string // those of the flags that decide which files belong to a package
	has      map[string]bool
}

// goTool matches the go command, also as golang.org/dl installs it.
var goTool = regexp.MustCompile(`^go(\d[\w.]*|tip)?(\.exe)?$`)

func isGoTest(args []string) bool {
	return len(args) >= 2 && goTool.MatchString(filepath.Base(args[0])) && args[1] == "test"
}

// The flags of go test and of builds: those that stand alone, and those that are
// followed by a value.
var (
	goTestBools = words(`a artifacts asan benchmem buildvcs c cover failfast fullpath json linkshared modcacherw msan n
		race short trimpath v work x`)
	goTestValues = words(`C asmflags bench benchtime blockprofile blockprofilerate buildmode compiler count covermode
		coverpkg coverprofile cpu cpuprofile exec fuzz fuzzminimizetime fuzztime gccgoflags gcflags installsuffix
		ldflags list memprofile memprofilerate mod modfile mutexprofile mutexprofilefraction o outputdir overlay p
		parallel pgo pkgdir run shuffle skip tags timeout toolexec trace vet`)
	goListFlags = words(`asan compiler mod modcacherw modfile msan overlay race tags`)
	// oneFile are those that name one file, which each package would overwrite.
	oneFile = words(`blockprofile coverprofile cpuprofile memprofile mutexprofile`)
)

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

func parseGoTest(args []string) (*goTest, error) {
	g := &goTest{goTool: args[0], has: map[string]bool{}}
	listed := false // no further packages: the list is over, or a flag that only the test knows came
	for args := args[2:]; len(args) > 0; {
		flag, name, known := goTestFlag(args)
		switch {
		case name == "args" || args[0] == "--": // the tests get the rest
			g.rest, flag = append(g.rest, args...), args
		case name == "" && !listed:
			g.packages = append(g.packages, args[0])
		case name == "": // a value of a flag that we do not know, or for the tests
			g.rest = append(g.rest, args[0])
		case name == "C":
			g.chdir = flag
		default:
			listed = listed || !known || len(g.packages) > 0
			g.has[name] = true
			g.rest = append(g.rest, flag...)
			if goListFlags[name] {
				g.listing = append(g.listing, flag...)
			}
		}
		args = args[len(flag):]
	}
	switch {
	case g.has["trace"]:
		return nil, errors.New("record adds -trace to go test itself: leave it out (--trace DIR before the -- says where the traces go)")
	case g.has["c"]:
		return nil, errors.New("go test -c runs no test: leave out -c")
	}
	return g, nil
}

// goTestFlag returns the flag that args begins with, together with its value, its
// name ("" for what is no flag), and whether go test knows it.
func goTestFlag(args []string) (flag []string, name string, known bool) {
	if len(args[0]) < 2 || args[0][0] != '-' {
		return args[:1], "", false
	}
	name, _, valued := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
	name = strings.TrimPrefix(name, "test.")
	if goTestValues[name] && !valued {
		return args[:min(2, len(args))], name, true
	}
	return args[:1], name, goTestValues[name] || goTestBools[name]
}

// list is the command that lists the packages that have tests, a line each, and
// those with an error, about which go test has more to say.
func (g *goTest) list() []string {
	args := append([]string{g.goTool, "list"}, g.chdir...)
	args = append(args, "-e", "-f", "{{if or .TestGoFiles .XTestGoFiles .Error}}{{.ImportPath}}{{end}}")
	args = append(args, g.listing...)
	return append(append(args, "--"), g.packages...)
}

// single tells whether the packages are one already, made of the files that were named.
func (g *goTest) single() bool {
	return slices.ContainsFunc(g.packages, func(p string) bool { return strings.HasSuffix(p, ".go") })
}

// command is the command that tests one package with a trace. The program that go
// test would leave behind goes to binary.
func (g *goTest) command(packages []string, trace, binary string) []string {
	args := append([]string{g.goTool, "test"}, g.chdir...)
	args = append(args, "-trace", trace)
	if !g.has["o"] {
		args = append(args, "-o", binary)
	}
	return slices.Concat(args, packages, g.rest)
}

// checkSeveral says which flags do not go together with several packages.
func (g *goTest) checkSeveral() error {
	for name := range oneFile {
		if g.has[name] {
			return fmt.Errorf("go test -%s writes one file, which each package would overwrite: name one package, or leave it out", name)
		}
	}
	return nil
}
