package locks

import (
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Name returns what the source calls the locks of the class, such as
// "Cache.mu"; "" where it is not at hand, or where its lines do not agree.
func (t *Table) Name(p *traceload.Program, c *Class) string {
	name := ""
	for _, l := range c.Lines {
		h := t.walk(p, l.Stack)
		if l.Cond || h == nil || h.Waits == nil || h.Waits.Name == "" {
			continue
		}
		if name != "" && name != h.Waits.Name {
			return ""
		}
		name = h.Waits.Name
	}
	if name != "" {
		return name
	}
	for _, x := range c.Exits { // nobody has waited where the source can be read
		if h := t.walk(p, x.Stack); h != nil && len(h.Releases) == 1 {
			return h.Releases[0].Name
		}
	}
	return ""
}

// Taken returns where a goroutine that stands at stack took a lock of that
// name; false if the source does not tell.
func (t *Table) Taken(p *traceload.Program, stack traceload.StackID, name string) (detectors.Frame, bool) {
	h := t.walk(p, stack)
	if h == nil || name == "" {
		return detectors.Frame{}, false
	}
	frames := p.Stack(stack).Frames
	for i, f := range h.Frames {
		for _, l := range f.Held {
			if l.Name == name && !l.May {
				return detectors.Frame{Func: p.Frame(frames[i]).Func, File: l.File, Line: l.Line}, true
			}
		}
	}
	return detectors.Frame{}, false
}

func (t *Table) walk(p *traceload.Program, stack traceload.StackID) *source.Holding {
	src := t.source()
	if src == nil || stack == 0 {
		return nil
	}
	return src.Walk(detectors.SourceFrames(p, stack), nil)
}
