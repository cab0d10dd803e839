package detectors

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors/internal/facts/tests"
	"github.com/tracedoc/tracedoc/traceload"
)

// attribute says which tests each finding belongs to: those of the goroutines
// in its groups. Whoever only created or cancelled them does not count.
func (w *walk) attribute(p *traceload.Program) {
	for i := range w.findings {
		f := &w.findings[i].Finding
		seen := map[string]bool{}
		for j := range f.Groups {
			g := &f.Groups[j]
			if g.Role != Creator && g.Role != Canceller {
				for _, name := range w.testsOf(p, g) {
					seen[name] = true
				}
			}
			g.Rest = nil
		}
		f.Tests = f.Tests[:0]
		for name := range seen {
			f.Tests = append(f.Tests, name)
		}
		slices.Sort(f.Tests)
		f.Tests = f.Tests[:min(len(f.Tests), MaxTests)]
	}
}

// callers finds the program's own line behind each site in a dependency.
func (w *walk) callers(p *traceload.Program) {
	for i := range w.findings {
		f := &w.findings[i].Finding
		if !traceload.IsDependency(f.Site.File) {
			continue
		}
		for j := range f.Groups {
			if own := callerIn(p, &f.Groups[j], f.Site); own != (Frame{}) {
				f.Caller = own
				break
			}
		}
	}
}

// callerIn returns the program's own frame by which a group came to the site:
// further out on its stack, or on that of the go statement that started it.
func callerIn(p *traceload.Program, g *Group, site Frame) Frame {
	at := slices.Index(g.Stack, site)
	for _, id := range g.Goroutines {
		live := p.Goroutine(traceload.GoID(id))
		if live == nil {
			continue
		}
		if own := p.OwnFrame(live.Stack); own != nil && at >= 0 {
			return FrameOf(own)
		}
		if own := p.OwnFrame(live.CreatedAt); own != nil {
			return FrameOf(own)
		}
	}
	for _, f := range append(slices.Clip(g.Stack[max(at, 0):]), g.CreatedBy) { // of those that have ended
		if own := traceload.NewFrame(f.Func, f.File, f.Line); own.Own() {
			return f
		}
	}
	return Frame{}
}

// testsOf returns the names of the tests that the group's goroutines belong to,
// failing that the one whose code stands on its stack or started it.
func (w *walk) testsOf(p *traceload.Program, g *Group) (names []string) {
	for _, ids := range [][]int64{g.Goroutines, g.Rest} {
		for _, id := range ids {
			if t := w.tests.ByID(p, traceload.GoID(id)); t != nil && t.Name() != "" {
				names = append(names, t.Name())
			}
		}
	}
	if len(names) > 0 {
		return names
	}
	for _, f := range append(slices.Clone(g.Stack), g.CreatedBy) {
		if name := tests.FunctionName(f.Func); name != "" && strings.HasSuffix(f.File, "_test.go") {
			return []string{name}
		}
	}
	return nil
}
