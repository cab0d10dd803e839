package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

// maxCrowds is how many groups of goroutines are written out in full.
const maxCrowds = 40

// momentFrames is how many frames of a stack are shown.
const momentFrames = 10

// Moment writes what all goroutines of a trace did at one time, like a goroutine
// dump in which those that stand at one place are counted. If r is not nil, it
// also says which of the report's findings are about them; the trace is the one
// with that index there.
func Moment(w io.Writer, m *detectors.Moment, r *detectors.Report, trace int, opt Options) error {
	m = cleanCopy(m)
	about := func(int64) string { return "" }
	if r != nil {
		about = aboutGoroutines(clean(r), trace)
	}
	p := newPage(opt)
	p.limits.frames = momentFrames
	p.prose("", p.paint(bold, m.Source)+fmt.Sprintf(" at %s of %s: %s", moment(int64(m.T)), detectors.Duration(m.Duration), count(int64(m.Goroutines), "goroutine")))
	states := map[string]int{}
	for _, c := range m.Crowds {
		states[c.State] += c.Count
	}
	var parts []string
	for _, s := range sceneMarks {
		if n := states[s.state]; n > 0 {
			parts = append(parts, grouped(int64(n))+" "+s.state)
		}
	}
	text := strings.Join(parts, ", ")
	if m.Procs > 0 {
		text += fmt.Sprintf("; GOMAXPROCS %d", m.Procs)
	}
	if len(m.Ranges) > 0 {
		text += "; meanwhile the runtime: " + strings.Join(m.Ranges, ", ")
	}
	p.prose("  ", text)
	if !m.Complete {
		p.painted(yellow, "  incomplete: ", "the trace could be read only in part")
	}
	for i := range m.Crowds[:min(len(m.Crowds), maxCrowds)] {
		p.crowd(&m.Crowds[i], about)
	}
	rest := 0
	for _, c := range m.Crowds[min(len(m.Crowds), maxCrowds):] {
		rest += c.Count
	}
	if rest > 0 {
		p.line()
		p.prose("", fmt.Sprintf("… and %s at %s, few at each.", count(int64(rest), "goroutine"), count(int64(len(m.Crowds)-maxCrowds), "other place")))
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) crowd(c *detectors.Crowd, about func(int64) string) {
	p.line()
	head := grouped(int64(c.Count)) + " " + stateName(c.State, c.Reason)
	text := " for " + lasting(c)
	if c.Stay > 0 {
		text += fmt.Sprintf("; %s until the trace ends", share(c.Stay, c.Count))
	}
	p.prose("", p.paint(bold, head)+text)
	frames, operation := trim(c.Stack, detectors.Frame{})
	if operation != "" {
		p.line("    in ", fit(operation, p.width-8))
	}
	p.stack(frames, detectors.Frame{})
	if len(c.Stack) == 0 {
		p.line("    ", p.paint(dim, "the trace does not say where"))
	}
	if c.CreatedBy.Func != "" {
		p.prose("    started by ", shortFunc(c.CreatedBy.Func)+" at "+c.CreatedBy.Where())
	}
	g := detectors.Group{Count: c.Count, Goroutines: c.Goroutines}
	p.prose("    ", goroutineIDs(&g, maxIDs))
	told := map[string]bool{}
	for _, id := range c.Goroutines {
		if text := about(id); text != "" && !told[text] {
			told[text] = true
			p.painted(yellow, "    see ", text)
		}
	}
}

// lasting words how long the goroutines of a crowd have been there.
func lasting(c *detectors.Crowd) string {
	shortest, longest := detectors.Duration(c.Shortest), detectors.Duration(c.Longest)
	if c.AtLeast {
		longest = "all the time since the trace began"
		if c.Shortest == c.Longest {
			return longest
		}
	}
	if shortest == longest {
		return longest
	}
	return shortest + " to " + longest
}

func share(n, of int) string {
	switch {
	case n == of && of == 1:
		return "it stays"
	case n == of:
		return "all stay"
	case n == 1:
		return "1 stays"
	}
	return grouped(int64(n)) + " stay"
}

// aboutGoroutines returns what the findings of a trace say of a goroutine, in a
// few words.
func aboutGoroutines(r *detectors.Report, trace int) func(int64) string {
	known := map[int64]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Trace != trace {
			continue
		}
		for _, g := range f.Groups {
			for _, id := range g.Goroutines {
				if known[id] == "" {
					known[id] = fmt.Sprintf("finding %d, %s/%s: %s", f.Rank, f.Detector, f.Cause, g.Role)
				}
			}
		}
	}
	return func(id int64) string { return known[id] }
}

// moment words a time of a trace, so that --at takes it.
func moment(t int64) string {
	text := fmt.Sprintf("%.9f", time.Duration(t).Seconds())
	whole, digits, _ := strings.Cut(text, ".")
	for len(digits) > 3 && strings.HasSuffix(digits, "000") {
		digits = strings.TrimSuffix(digits, "000")
	}
	return whole + "." + digits + "s"
}
