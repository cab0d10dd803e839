package waitgraph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// study is what a stack says about locks, worked out once per stack.
type study struct {
	holding *source.Holding // nil without source
	asked   bool
	ops     []source.ChanOp // see Tracker.ops
}

type studyKey struct{ stack, created traceload.StackID }

func (t *Tracker) study(p *traceload.Program, g *traceload.Goroutine) *study {
	key := studyKey{g.Stack, g.CreatedAt}
	s, ok := t.studies[key]
	if ok {
		return s
	}
	s = &study{}
	t.studies[key] = s
	src := t.pass.Source()
	if src == nil {
		return s
	}
	s.holding = src.Walk(detectors.SourceFrames(p, g.Stack), detectors.SourceFrames(p, g.CreatedAt))
	return s
}

// ops returns the operations on channels at the line where g waits. Most waits
// are in packages of which nothing else is asked, so it looks when it has to.
func (t *Tracker) ops(p *traceload.Program, g *traceload.Goroutine) []source.ChanOp {
	s := t.study(p, g)
	if f := p.Site(g.Stack); f != nil && !s.asked && t.pass.Source() != nil {
		s.ops, _ = t.pass.Source().ChanOps(f.File, f.Line)
	}
	s.asked = true
	return s.ops
}

// snapshot is the graph at one moment.
type snapshot struct {
	t       *Tracker
	p       *traceload.Program
	now     traceload.Time
	nodes   []*Node // those that wait long enough
	others  []*Node // those that are parked or in a system call, but not for long
	names   map[locks.ID]string
	keys    map[string]*Lock
	waiting []traceload.StackID // distinct stacks that wait for locks
	deduced *deduction
	serving map[traceload.FrameID][]*Node // see servers
	reaches map[pairKey]int               // see comesAt
	guessed map[*Node]float64             // who would end its wait is not sure: the price of that
	unseen  []*Node                       // goroutines alive that are at work: their stacks are those of their last wait
}

// look builds the graph. With ev, the wait that has just ended counts as still going on.
func (t *Tracker) look(p *traceload.Program, ev *traceload.Event) *snapshot {
	s := &snapshot{t: t, p: p, now: p.Now, names: map[locks.ID]string{}, keys: map[string]*Lock{}, guessed: map[*Node]float64{}, serving: map[traceload.FrameID][]*Node{}, reaches: map[pairKey]int{}}
	if !locksAwaited(p) {
		return s // there may be very many goroutines
	}
	seen := map[traceload.StackID]bool{}
	var all []*Node
	for g := range p.Live {
		if g.System {
			continue
		}
		n := &Node{G: *g, Wait: g.Wait, rest: *t.rests.At(g)}
		if ev != nil && g == ev.G {
			n.G.State, n.G.Since, n.G.Stack = traceload.StateWaiting, ev.Time-traceload.Time(ev.Lived), ev.Stack
			n.Wait = ev.Wait
		}
		if n.G.State != traceload.StateWaiting && n.G.State != traceload.StateSyscall || n.G.Stack == 0 {
			s.unseen = append(s.unseen, n)
			continue
		}
		if n.G.State == traceload.StateSyscall {
			n.Wait = traceload.WaitUnknown
		}
		if n.Wait.IsLock() && !seen[n.G.Stack] {
			seen[n.G.Stack] = true
			s.waiting = append(s.waiting, n.G.Stack)
		}
		n.Site = detectors.SiteOf(p, n.G.Stack)
		all = append(all, n)
	}
	if len(s.waiting) == 0 {
		return s
	}
	for _, n := range all { // who waits for which lock, and how the locks are called
		s.wants(n)
	}
	d := s.deduce()
	s.deduced = d
	for _, n := range all { // the locks of which the source does not tell
		s.wantsUnnamed(n, d)
	}
	for _, n := range all { // who holds which
		s.holds(n)
		if p.Now.Sub(n.G.Since) >= minAge && n.Wait != traceload.WaitSleep && n.Wait != traceload.WaitNetwork && n.Wait != traceload.WaitUnknown {
			s.nodes = append(s.nodes, n)
		} else {
			s.others = append(s.others, n)
		}
	}
	d.holders()
	s.soleHolders()
	return s
}

// locksAwaited tells whether any goroutine waits for a lock.
func locksAwaited(p *traceload.Program) bool {
	for g := range p.Live {
		if !g.System && g.State == traceload.StateWaiting && g.Stack != 0 && g.Wait.IsLock() {
			return true
		}
	}
	return false
}

// wants sets what n waits for.
func (s *snapshot) wants(n *Node) {
	st := s.t.study(s.p, &n.G)
	if !n.Wait.IsLock() {
		return
	}
	n.Read = n.Wait == traceload.WaitRWMutexR
	id, ok := s.t.locks.Of(s.p, n.G.Stack)
	if !ok {
		return
	}
	var l source.Lock
	if st.holding != nil && st.holding.Waits != nil {
		l = *st.holding.Waits
	}
	n.class = id
	if key := keyOf(l); key != "" {
		s.names[id] = key
		n.For = s.lock(key, l)
		n.For.Single = n.For.Single || s.t.locks.IsSingle(id)
	}
}

// wantsUnnamed sets what n waits for where the source does not tell: the lock
// of that class by the name that other lines gave it, or by its group.
func (s *snapshot) wantsUnnamed(n *Node, d *deduction) {
	if n.class == 0 || n.For != nil {
		return
	}
	key := s.names[n.class]
	if key == "" {
		key = fmt.Sprintf("class %d", d.group(n.class))
	}
	n.For = s.lock(key, source.Lock{})
	if n.For.Line == (detectors.Frame{}) {
		n.For.Line = n.Site
	}
	n.For.Single = n.For.Single || s.t.locks.IsSingle(n.class)
}

// keyOf names a lock of the source so that other goroutines' may be compared
// with it; "" if that cannot be.
func keyOf(l source.Lock) string {
	switch {
	case l.Class != "":
		return l.Class
	case l.Global && l.ID != "":
		return l.ID
	case l.Name != "" && l.Path.Func != "":
		return l.Path.Func + " " + l.Path.String()
	}
	return ""
}

func (s *snapshot) lock(key string, l source.Lock) *Lock {
	k, ok := s.keys[key]
	if !ok {
		k = &Lock{Name: l.Name, key: key, Single: l.Global}
		s.keys[key] = k
	}
	return k
}

// holds sets what n holds by the source.
func (s *snapshot) holds(n *Node) {
	h := s.t.study(s.p, &n.G).holding
	for i, id := range s.p.Stack(n.G.Stack).Frames {
		f := s.p.Frame(id)
		if f.Origin != traceload.OriginUser {
			continue
		}
		if h != nil && i < len(h.Frames) && h.Frames[i].Status == source.StatusMatched {
			n.known = true
			for _, l := range h.Frames[i].Held {
				s.held(n, h, l, f.FuncID)
			}
		}
	}
}

// explained tells whether the source says what a frame of n holds.
func (s *snapshot) explained(n *Node, frame int) bool {
	h := s.t.study(s.p, &n.G).holding
	return h != nil && frame < len(h.Frames) && h.Frames[frame].Status == source.StatusMatched
}

func (s *snapshot) held(n *Node, h *source.Holding, l source.Lock, fn traceload.FuncID) {
	key := keyOf(l)
	if key == "" {
		return
	}
	hold := Hold{Lock: s.lock(key, l), Read: l.Mode == source.Read, Taken: detectors.Frame{File: l.File, Line: l.Line}, Proof: BySource, fn: fn}
	if n.For != nil && n.For.key == key && h.Waits != nil {
		relation := source.Relate(*h.Waits, l, true)
		switch {
		case l.May:
			n.again = true
			return
		case relation == source.Same:
			n.owns = &hold
		}
	}
	if !l.May {
		n.Holds = append(n.Holds, hold)
	}
}

// soleHolders finds goroutines that hold, by the source, a lock of the very name
// that they wait for, where it does not tell whether both are one object, but
// nobody else holds any; and those that have come twice to where it is taken,
// where nobody is known to hold it.
func (s *snapshot) soleHolders() {
	holders := map[*Lock]int{}
	for _, n := range slices.Concat(s.nodes, s.others) {
		seen := map[*Lock]bool{}
		for _, h := range n.Holds {
			if !seen[h.Lock] {
				seen[h.Lock] = true
				holders[h.Lock]++
			}
		}
	}
	for _, n := range s.nodes {
		if n.For == nil || n.owns != nil || n.Read || holders[n.For] > 1 || s.now.Sub(n.G.Since) < 2*minAge {
			continue
		}
		if taken, ok := s.again(n); ok && holders[n.For] == 0 && !s.running(n) {
			n.owns = &Hold{Lock: n.For, Taken: taken, Proof: ByLines, alone: true}
			n.Holds = append(n.Holds, *n.owns)
			continue
		}
		i := slices.IndexFunc(n.Holds, func(h Hold) bool { return h.Lock == n.For && h.Proof == BySource })
		if i < 0 || s.running(n) {
			continue
		}
		own := n.Holds[i]
		own.sole = true
		n.owns = &own
	}
}

// running tells whether a goroutine that runs, or of which nothing is known, may
// hold the lock that n waits for.
func (s *snapshot) running(n *Node) bool {
	return slices.ContainsFunc(s.unseen, func(u *Node) bool { return s.mayHold(u, n.G.Since, s.deduced.group(n.class)) != noDoubt })
}

// again finds the function that leads n to the lock and does so for the second
// time: it stands further out on the stack too, behind the line that led there.
//
//	Lock < (*DB).Begin:12 < (*DB).Update:30 < save:7 < (*DB).Update:33
func (s *snapshot) again(n *Node) (detectors.Frame, bool) {
	stack := s.p.Stack(n.G.Stack)
	for i := max(stack.Owner, 0); i < len(stack.Frames); i++ {
		in := s.p.Frame(stack.Frames[i])
		if in.Origin != traceload.OriginUser {
			break
		}
		for _, id := range stack.Frames[i+1:] {
			if out := s.p.Frame(id); out.FuncID == in.FuncID && out.Line > in.Line {
				return detectors.FrameOf(in), true
			}
		}
	}
	return detectors.Frame{}, false
}

// what says what n waits for; "" if it is a lock.
func (s *snapshot) what(n *Node) string {
	if n.Wait.IsLock() {
		return ""
	}
	st := s.t.study(s.p, &n.G)
	var names []string
	for _, op := range s.t.ops(s.p, &n.G) {
		for _, c := range op.Channels {
			names = append(names, c.Expr)
		}
	}
	on := ""
	if len(names) > 0 {
		on = " (" + strings.Join(names, ", ") + ")"
	}
	switch n.Wait {
	case traceload.WaitChanSend:
		return "waits to send" + on
	case traceload.WaitChanReceive, traceload.WaitNilChan:
		return "waits to receive" + on
	case traceload.WaitSelect:
		return "waits in a select" + on
	case traceload.WaitWaitGroup:
		if h := st.holding; h != nil && h.Awaits != nil {
			return "waits for the WaitGroup " + h.Awaits.Name
		}
		return "waits for a WaitGroup"
	case traceload.WaitCond:
		if h := st.holding; h != nil && h.Awaits != nil {
			return "waits for the Cond " + h.Awaits.Name
		}
		return "waits for a Cond"
	}
	return "waits for " + n.Wait.String()
}
