// Package tests knows which test each goroutine belongs to, in a trace of
// "go test -trace" or of package tracetest: to the nearest one up the line of
// those who started it.
//
// The trace itself does not tell the names of tests. The function that package
// testing started shows on stacks: TestCheckout, also for a subtest, whose
// function is TestCheckout.func2. A mark tells more, a log of category Mark on
// the goroutine that runs the test: "begin TestCheckout/empty_cart" gives the
// exact name, for subtests too, "end TestCheckout/empty_cart" says that the
// test's own function has returned although its goroutine may live on.
//
// The walk feeds the Table beside everything else, see detectors.Pass.Tests.
package tests

import (
	"strings"

	"github.com/tracedoc/tracedoc/detectors/internal/dense"
	"github.com/tracedoc/tracedoc/traceload"
)

// Mark is the category of the logs by which a test tells its name.
const Mark = "tracedoc/test"

// Watches is the kinds of event that a Table must see.
var Watches = traceload.KindSet(traceload.KindStatus, traceload.KindCreate, traceload.KindBlock, traceload.KindStop,
	traceload.KindSyscallBegin, traceload.KindLog, traceload.KindEnd)

// Untested is the kinds that are enough as long as no stack has a frame of package
// testing (Program.Tested), and nobody said that a test begins (Table.Any).
var Untested = traceload.KindSet(traceload.KindLog)

// Test is one test (benchmark, fuzz target, example, subtest) that ran.
type Test struct {
	own    string // name by its function, or by its mark; "" if unknown
	marked bool
	parent *Test          // whose subtest it is; nil if of none
	root   traceload.GoID // who runs it
	over   bool
	ended  traceload.Time
}

// Name is the name of the nearest test with a mark, failing that the name by
// its function; "" if the trace does not tell it.
func (t *Test) Name() string {
	if m := t.markedOne(); m != nil {
		return m.own
	}
	for ; t != nil; t = t.parent {
		if t.own != "" {
			return t.own
		}
	}
	return ""
}

// Ended tells whether the test that gives the name is over, and since when:
// since its mark said so, or since its goroutine ended. A nil Test has not ended.
func (t *Test) Ended() (at traceload.Time, over bool) {
	if t == nil {
		return 0, false
	}
	if m := t.markedOne(); m != nil {
		t = m
	}
	return t.ended, t.over
}

func (t *Test) markedOne() *Test {
	for ; t != nil; t = t.parent {
		if t.marked {
			return t
		}
	}
	return nil
}

// Table is what is known of all tests. The zero Table is ready to use.
type Table struct {
	alive  dense.Goroutines[*Test] // those that belong to a test
	stacks []look                  // by StackID
	names  []string                // of test functions, by look
	// recent holds goroutines of tests that have ended, the latest of those
	// that share an index; nil as long as there is no test.
	recent []occupant
}

type occupant struct {
	id   traceload.GoID
	test *Test
}

// look is what a stack says: not looked at yet, no test, or the index in names plus two.
type look uint32

const (
	unseen look = iota
	noTest
	firstName
)

// remembered is how many ended goroutines a Table knows at most.
const remembered = 1 << 14

// Of returns the test that g belongs to, nil if none is known.
func (t *Table) Of(g *traceload.Goroutine) *Test {
	if test := t.alive.Of(g); test != nil {
		return *test
	}
	return nil
}

// ByID is Of for a goroutine that may have ended; of many that have, the first
// are forgotten.
func (t *Table) ByID(p *traceload.Program, id traceload.GoID) *Test {
	if g := p.Goroutine(id); g != nil {
		return t.Of(g)
	}
	if t.recent != nil && id >= 0 {
		if o := t.recent[int(id%remembered)]; o.id == id {
			return o.test
		}
	}
	return nil
}

// Any tells whether there was a test.
func (t *Table) Any() bool { return t.recent != nil }

// Observe takes one event of the kinds in Watches.
func (t *Table) Observe(p *traceload.Program, ev *traceload.Event) {
	g := ev.G
	switch ev.Kind {
	case traceload.KindCreate:
		t.birth(p, ev)
	case traceload.KindStatus, traceload.KindBlock, traceload.KindStop, traceload.KindSyscallBegin:
		t.learn(p, g, ev.Stack)
	case traceload.KindLog:
		if g != nil && p.String(ev.Text) == Mark {
			t.mark(p, g, p.String(ev.Text2))
		}
	case traceload.KindEnd:
		if test := t.Of(g); test != nil {
			if test.root == g.ID {
				test.end(p.Now)
			}
			t.recent[int(g.ID%remembered)] = occupant{g.ID, test}
			t.alive.Leave(g)
		}
	}
}

func (t *Test) end(now traceload.Time) {
	if !t.over {
		t.over, t.ended = true, now
	}
}

// birth gives a newborn goroutine its parent's test, or one of its own.
func (t *Table) birth(p *traceload.Program, ev *traceload.Event) {
	t.learn(p, ev.By, ev.ByStack)
	test := t.Of(ev.By)
	if e := p.Entry(ev.G); e != nil && e.Origin == traceload.OriginTesting && runsTest(e.Func) {
		test = t.open(ev.G.ID, test)
	}
	if test != nil {
		*t.alive.Enter(ev.G) = test
	}
}

func (t *Table) open(root traceload.GoID, parent *Test) *Test {
	if t.recent == nil {
		t.recent = make([]occupant, remembered)
		for i := range t.recent {
			t.recent[i].id = 0 // see dense.Pairs.At
		}
	}
	return &Test{root: root, parent: parent}
}

// learn takes from where g stands which test it runs, if that is not known.
func (t *Table) learn(p *traceload.Program, g *traceload.Goroutine, stack traceload.StackID) {
	if stack == 0 || !p.Stack(stack).Testing {
		return
	}
	test := t.Of(g)
	if g == nil || test != nil && (test.root != g.ID || test.marked) {
		return
	}
	name := t.read(p, stack)
	switch {
	case name == "":
	case test == nil: // it began before the trace
		test = t.open(g.ID, nil)
		test.own = name
		*t.alive.Enter(g) = test
	case test.own == "":
		test.own = name
	case test.own != name: // one example after the other runs on one goroutine
		test.end(p.Now)
		test = t.open(g.ID, test.parent)
		test.own = name
		*t.alive.Enter(g) = test
	}
}

// mark takes what a test says of itself.
func (t *Table) mark(p *traceload.Program, g *traceload.Goroutine, text string) {
	test := t.Of(g)
	what, name, _ := strings.Cut(text, " ")
	switch what {
	case "begin":
		if test == nil || test.root != g.ID || test.marked {
			test = t.open(g.ID, test)
			*t.alive.Enter(g) = test
		}
		test.own, test.marked = name, true
	case "end":
		for ; test != nil; test = test.parent {
			if test.marked && test.own == name {
				test.end(p.Now)
				return
			}
		}
	}
}

// runsTest tells whether package testing starts goroutines at this function to
// run a test in them. The go statement's wrapper is named after who starts.
func runsTest(entry string) bool {
	switch entry {
	case "testing.tRunner", "testing.fRunner", "testing.(*B).launch", "testing.(*B).runN", "testing.(*B).run1.func1", "testing.runFuzzing":
		return true
	}
	for _, starter := range []string{"testing.(*T).Run.", "testing.(*F).Run.", "testing.(*B).run1.", "testing.(*B).doBench.", "testing.runFuzzTests.", "testing.(*F).Fuzz."} {
		if strings.HasPrefix(entry, starter) {
			return true
		}
	}
	return false
}

// read returns the name of the test that a stack runs, "" if none.
func (t *Table) read(p *traceload.Program, stack traceload.StackID) string {
	for len(t.stacks) <= int(stack) {
		t.stacks = append(t.stacks, unseen)
	}
	if t.stacks[stack] == unseen {
		t.stacks[stack] = noTest
		if name := nameOn(p, p.Stack(stack).Frames); name != "" {
			t.names = append(t.names, name)
			t.stacks[stack] = firstName + look(len(t.names)-1)
		}
	}
	if l := t.stacks[stack]; l >= firstName {
		return t.names[l-firstName]
	}
	return ""
}

// nameOn looks for the outermost test function below a frame of package testing.
func nameOn(p *traceload.Program, frames []traceload.FrameID) string {
	testing := false
	for i := len(frames) - 1; i >= 0; i-- {
		switch f := p.Frame(frames[i]); {
		case f.Origin == traceload.OriginTesting:
			testing = true
		case testing:
			if name := FunctionName(f.Func); name != "" {
				return name
			}
		}
	}
	return ""
}

// FunctionName returns the name of the test that a function belongs to, be it
// the test's own or a closure in it: "TestCheckout" for
// "example.com/shop.TestCheckout.func2"; "" if to none.
func FunctionName(fn string) string {
	pkg := traceload.PackagePath(fn)
	if pkg == "" {
		return ""
	}
	name, _, _ := strings.Cut(fn[len(pkg)+1:], ".")
	for _, prefix := range []string{"Test", "Benchmark", "Fuzz", "Example"} {
		rest, ok := strings.CutPrefix(name, prefix)
		if ok && name != "TestMain" && (rest == "" || rest[0] < 'a' || rest[0] > 'z') {
			return name
		}
	}
	return ""
}
