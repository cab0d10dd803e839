package waits

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// reach is what the source tells of who could end the waits of a group: which
// lines do something with their channels, and who still stands where such a
// line can be reached.
type reach struct {
	uses []*source.Uses // of the channels of the first of the group; nil without source
	// gone counts those of the group for whom nobody is left: all that can
	// happen to their channels is known, and nobody alive who could know the
	// channel can come to a line that ends the wait.
	gone     int
	open     string // why more may happen to a channel than the source shows, "" if it does not
	notified bool   // the channel is for signals
	able     string // where somebody stands who can end some of the waits, "" if nobody does
}

type origin struct{ stack, created traceload.StackID }

// maxOrigins bounds how many different stacks of a group the source is asked about.
const maxOrigins = 8

// reach asks the source about a group, once.
func (t *Table) reach(p *traceload.Program, gr *Group, stuck []parked) reach {
	var r reach
	if t.source == nil || gr.known != nil || gr.Site.Frame == 0 || p.Frame(gr.Site.Frame).Origin != traceload.OriginUser {
		return r
	}
	switch gr.Site.Wait {
	case traceload.WaitChanSend, traceload.WaitChanReceive, traceload.WaitSelect:
	default:
		return r
	}
	asked := map[origin]bool{}
	turns := turnsOf(stuck)
	for _, pk := range stuck {
		o := origin{pk.g.Stack, pk.g.CreatedAt}
		uses, ok := t.uses[o]
		if !ok {
			if asked[o] = true; len(asked) > maxOrigins {
				gr.settled = false // the next time some more are asked about
				continue
			}
			uses = t.ask(p, o)
			t.uses[o] = uses
		}
		if len(uses) == 0 {
			continue
		}
		if r.uses == nil {
			r.uses = uses
		}
		if t.nobodyFor(p, gr, pk.g, uses, turns[turnKey{o, pk.g.Creator}], &r) {
			r.gone++
		}
	}
	return r
}

func (t *Table) ask(p *traceload.Program, o origin) []*source.Uses {
	st := p.Stack(o.stack)
	if st.Site < 0 {
		return nil
	}
	uses, _ := t.source.ChanUses(detectors.SourceFrames(p, o.stack)[st.Site:], detectors.SourceFrames(p, o.created))
	return uses
}

// nobodyFor tells whether nobody is left who could end g's wait.
func (t *Table) nobodyFor(p *traceload.Program, gr *Group, g *traceload.Goroutine, uses []*source.Uses, births []traceload.Time, r *reach) bool {
	nobody := true
	for _, u := range uses {
		r.notified = r.notified || u.Notified
		if u.Open != "" {
			if r.open == "" {
				r.open = u.Expr + " is " + u.Open
			}
			nobody = false
			continue
		}
		for _, h := range t.enders(p, u) {
			if h.ID != g.ID && !gr.isStuck(t, h.ID) && shares(p, g, h, u, births) {
				if r.able == "" {
					r.able = detectors.SiteOf(p, h.Stack).Where()
				}
				nobody = false
				break
			}
		}
	}
	return nobody
}

// enders are the goroutines alive that stand where a wait for u can be ended.
func (t *Table) enders(p *traceload.Program, u *source.Uses) []*traceload.Goroutine {
	list, ok := t.endersOf[u]
	if ok {
		return list
	}
	stands := map[traceload.StackID]bool{}
	can := func(id traceload.StackID) bool {
		is, ok := stands[id]
		if !ok {
			for _, f := range p.Frames(id) {
				if f.Origin == traceload.OriginUser && t.source.Ends(u, source.Frame{Func: f.Func, File: f.File, Line: f.Line}) {
					is = true
					break
				}
			}
			stands[id] = is
		}
		return is
	}
	for h := range p.Live {
		// Where a goroutine that does not wait stands is not known: it may be at the begin of what it does.
		if !h.System && (can(h.Stack) || h.State != traceload.StateWaiting && can(h.Entry)) {
			list = append(list, h)
		}
	}
	t.endersOf[u] = list
	return list
}

// shares tells whether h may know the very channel that g waits on. A channel
// that one call of a function makes is known to the goroutine of that call and
// to those that it starts. Where each has a channel of its own (Uses.Once),
// those that were started in the turn of another do not know it.
func shares(p *traceload.Program, g, h *traceload.Goroutine, u *source.Uses, births []traceload.Time) bool {
	root := g.Creator
	if u.Own {
		root = g.ID
	}
	if root == traceload.NoGoroutine || h.Creator == g.ID {
		return true
	}
	prev, next := traceload.Time(-1), traceload.Time(math.MaxInt64)
	if i, ok := slices.BinarySearch(births, g.Born); ok && u.Once && !u.Own && g.BornKnown {
		if i > 0 {
			prev = births[i-1]
		}
		if i+1 < len(births) {
			next = births[i+1]
		}
	}
	inTurn := func(born traceload.Time) bool { return prev < born && born < next }
	switch parent := p.Goroutine(h.Creator); {
	case h.ID == root:
		return next == math.MaxInt64
	case !h.BornKnown:
		return true
	case h.Creator == root:
		return inTurn(h.Born)
	case parent == nil: // whose child that was is no longer known
		return inTurn(h.Born)
	default:
		return parent.Creator == root && inTurn(parent.Born) || !parent.BornKnown
	}
}

type turnKey struct {
	origin
	creator traceload.GoID
}

// turnsOf lists, for each place and goroutine that started some of the stuck,
// when they were born, in order.
func turnsOf(stuck []parked) map[turnKey][]traceload.Time {
	turns := map[turnKey][]traceload.Time{}
	for _, pk := range stuck {
		k := turnKey{origin{pk.g.Stack, pk.g.CreatedAt}, pk.g.Creator}
		turns[k] = append(turns[k], pk.g.Born)
	}
	for _, list := range turns {
		slices.Sort(list)
	}
	return turns
}

// why says what would have ended the waits and why it did not, as far as
// source and trace tell; "" if they do not.
func (t *Table) why(p *traceload.Program, gr *Group, r *reach) string {
	if len(r.uses) == 0 || r.open != "" || r.gone == 0 {
		return t.whoElse(p, gr)
	}
	u := r.uses[0]
	var ends []source.Use
	for _, u := range r.uses {
		for _, op := range u.Ops {
			if endsWait(op.Kind, u.Send) {
				ends = append(ends, op)
			}
		}
	}
	closes := slices.ContainsFunc(ends, func(op source.Use) bool { return op.Kind == source.UseClose })
	var s string
	switch {
	case len(ends) == 0 && u.Send:
		return fmt.Sprintf("No other line receives from %s.", u.Expr)
	case len(ends) == 0:
		return fmt.Sprintf("No line sends on %s or closes it.", u.Expr)
	case u.Range && !closes:
		s = fmt.Sprintf("The range ends when %s is closed, and no line closes it", u.Expr)
		if u.Home != "" {
			s += fmt.Sprintf("; %s, which made it, is done with it", u.Home)
		}
		return s + "."
	}
	op := ends[0]
	s = fmt.Sprintf("What would have ended the wait: %s %s at %s:%d", op.Func, op.Kind, op.File, op.Line)
	if left := t.left(p, ends); left != "" {
		return s + "; " + left + "."
	}
	return s + "; it is past that line or has returned, and nobody else knows the channel."
}

func endsWait(k source.UseKind, send bool) bool {
	if send {
		return k == source.UseReceive || k == source.UseRange
	}
	return k == source.UseSend || k == source.UseClose
}

// left says by which other case the select was left that would have ended a wait.
func (t *Table) left(p *traceload.Program, ends []source.Use) string {
	for _, op := range ends {
		if op.Select == 0 || len(op.Exits) == 0 {
			continue
		}
		var cancelled, timers int
		for k, s := range t.sites {
			if k.wait != traceload.WaitSelect || k.frame == 0 {
				continue
			}
			if f := p.Frame(k.frame); f.Line == op.Select && strings.HasSuffix(f.File, op.File) {
				cancelled += s.Cancelled + s.Woken[traceload.WakerDeadline]
				timers += s.Woken[traceload.WakerTimer]
			}
		}
		for _, x := range op.Exits {
			n := 0
			switch x.Origin {
			case source.OriginContext:
				n = cancelled
			case source.OriginTimer, source.OriginTicker:
				n = timers
			}
			if n > 0 {
				return fmt.Sprintf("that select was left %s through the case of %s at %s:%d", times(n), x.Expr, op.File, x.Line)
			}
		}
	}
	return ""
}

// whoElse says who woke others at the place, from the trace alone.
func (t *Table) whoElse(p *traceload.Program, gr *Group) string {
	type waker struct {
		site traceload.FrameID
		n    int
	}
	var list []waker
	total := 0
	for k, n := range t.wakers.All {
		if k.A != uint32(gr.Site.number) {
			continue
		}
		total += int(*n)
		f := p.SiteID(traceload.StackID(k.B))
		if i := slices.IndexFunc(list, func(w waker) bool { return w.site == f }); i >= 0 {
			list[i].n += int(*n)
		} else if f != 0 {
			list = append(list, waker{f, int(*n)})
		}
	}
	if len(list) == 0 {
		return ""
	}
	best := slices.MaxFunc(list, func(a, b waker) int {
		if a.n != b.n {
			return a.n - b.n
		}
		return int(b.site) - int(a.site)
	})
	if f := detectors.FrameOf(p.Frame(best.site)); 2*best.n > total && p.Frame(best.site).Origin == traceload.OriginUser {
		return fmt.Sprintf("Others at this line were woken by %s at %s (%s); for these that did not happen.", detectors.Short(f.Func), f.Where(), times(best.n))
	}
	return ""
}
