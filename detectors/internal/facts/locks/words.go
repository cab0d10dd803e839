package locks

import (
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

// Group describes the crowd for a finding: at stack, in this state, for this reason.
func (c *Crowd) Group(p *traceload.Program, role detectors.Role, stack traceload.StackID, state traceload.State, reason string) detectors.Group {
	g := detectors.Group{
		Role: role, Count: int(c.Count), Goroutines: c.IDs, State: state.String(), Reason: reason,
		Stack: detectors.StackOf(p, stack), CreatedBy: detectors.SiteOf(p, c.Created),
	}
	if c.Entry != 0 {
		g.Entry = p.Frame(c.Entry).Func
	}
	return g
}

// Waiters describes those that waited at a line.
func (t *Table) Waiters(p *traceload.Program, l *Line, who *Crowd) detectors.Group {
	return who.Group(p, detectors.Waiter, l.Stack, traceload.StateWaiting, p.String(t.marks.Get(l.Stack).reason))
}

// Blocked describes the holders of a holdup.
func (t *Table) Blocked(p *traceload.Program, h *Holdup) detectors.Group {
	state := traceload.StateWaiting
	reason := p.String(t.marks.Get(h.Block).reason)
	if h.Cause == CauseSyscall && reason == "" {
		state = traceload.StateSyscall
	}
	return h.Who.Group(p, detectors.Holder, h.Block, state, reason)
}

// Noun is "mutex" or "RWMutex".
func (c *Class) Noun() string {
	if c.RW {
		return "RWMutex"
	}
	return "mutex"
}

// Article is Noun with its article.
func (c *Class) Article() string {
	if c.RW {
		return "an RWMutex"
	}
	return "a mutex"
}
