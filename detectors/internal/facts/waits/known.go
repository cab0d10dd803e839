package waits

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed known.txt
var knownText string

// builtIn is the table of well-known waits; a test checks that it parses.
var builtIn = sync.OnceValue(func() []detectors.KnownWait {
	rows, err := detectors.ParseKnownWaits(knownText)
	if err != nil {
		panic("known.txt: " + err.Error())
	}
	return rows
})

// builtInNames are the plain names of its rows.
var builtInNames = sync.OnceValue(func() []string {
	var names []string
	for _, row := range builtIn() {
		names = append(names, plainName(row.Func))
	}
	return names
})

// catalog finds rows by the function that waits.
type catalog struct {
	rows    map[string][]*detectors.KnownWait // by plain name, in the order of precedence
	byStack map[traceload.StackID][]*detectors.KnownWait
}

// newCatalog makes a catalog of the built-in rows and of the user's, which win.
func newCatalog(users []detectors.KnownWait) *catalog {
	c := &catalog{rows: map[string][]*detectors.KnownWait{}, byStack: map[traceload.StackID][]*detectors.KnownWait{}}
	for i := range users {
		name := plainName(users[i].Func)
		c.rows[name] = append(c.rows[name], &users[i])
	}
	for i, name := range builtInNames() {
		c.rows[name] = append(c.rows[name], &builtIn()[i])
	}
	return c
}

// of returns the row that fits g, nil for most.
func (c *catalog) of(p *traceload.Program, g *traceload.Goroutine) *detectors.KnownWait {
	list, ok := c.byStack[g.Stack]
	if !ok {
		list = c.find(p.Frames(g.Stack))
		c.byStack[g.Stack] = list
	}
	if len(list) == 0 && g.Stack == 0 { // nothing is known of where it waits, but perhaps of what it is
		if e := p.Entry(g); e != nil {
			list = c.find([]traceload.Frame{*e})
		}
	}
	word := p.String(g.Reason)
	for _, k := range list {
		if k.Wait == "" || k.Wait == word {
			return k
		}
	}
	return nil
}

// find returns the rows of the functions on a stack that have nothing but their
// own module and the standard library inside them, the outermost first: what a
// goroutine was started for says more than what it happens to call.
func (c *catalog) find(frames []traceload.Frame) (list []*detectors.KnownWait) {
	inner := "" // the module of the frames so far; all but the standard library must be of one
	for i := range frames {
		f := &frames[i]
		if f.Origin == traceload.OriginUser {
			m := module(traceload.PackagePath(f.Func))
			if inner != "" && m != inner {
				break
			}
			inner = m
		}
		if rows := c.rows[plainName(f.Func)]; len(rows) > 0 {
			if f.Origin != traceload.OriginUser && inner != "" {
				continue // the standard library called somebody else's code
			}
			list = slices.Concat(rows, list)
		}
	}
	return list
}

var (
	literals  = regexp.MustCompile(`\.func\d+(\.\d+|\.func\d+|\.gowrap\d+|-range\d+)*$`)
	wrappers  = regexp.MustCompile(`(\.(gowrap|deferwrap)\d+|-fm)+$`)
	versions  = regexp.MustCompile(`/v\d+(/|\.|$)|(^gopkg\.in/.*)\.v\d+(/|\.)`)
	arguments = regexp.MustCompile(`\[.*\]`)
)

// plainName is a function's name without what differs between builds and
// versions: type arguments, the major version of the module, and the numbers of
// function literals ("F.func2.1" is "F.func"). Most names have nothing of that,
// and cost no more than a look.
func plainName(fn string) string {
	if strings.Contains(fn, "[") {
		fn = arguments.ReplaceAllString(fn, "")
	}
	fn = strings.ReplaceAll(fn, "%2e", ".") // the linker's way to write a dot in a path
	if n := len(fn); n > 0 && '0' <= fn[n-1] && fn[n-1] <= '9' || strings.HasSuffix(fn, "-fm") {
		fn = wrappers.ReplaceAllString(fn, "")
		fn = literals.ReplaceAllString(fn, ".func")
	}
	if strings.Contains(fn, "/v") || strings.HasPrefix(fn, "gopkg.in/") {
		fn = versions.ReplaceAllString(fn, "$1$2$3")
	}
	return fn
}

// module guesses the module of a package from its import path: what comes
// before the repository's own folders.
func module(pkg string) string {
	parts := strings.Split(pkg, "/")
	n := 2
	if host := parts[0]; host == "github.com" || host == "gitlab.com" || host == "bitbucket.org" || host == "golang.org" {
		n = 3
	} else if !strings.Contains(host, ".") {
		n = 1
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// users counts the goroutines that are at work in the function k.InUse.
func users(p *traceload.Program, k *detectors.KnownWait) (n int) {
	if k.InUse == "" {
		return 0
	}
	for g := range p.Live {
		n += btoi(slices.ContainsFunc(p.Stack(g.Stack).Frames, func(id traceload.FrameID) bool { return plainName(p.Frame(id).Func) == k.InUse }))
	}
	return n
}
