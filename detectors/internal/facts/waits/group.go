package waits

import (
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/births"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/tests"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Group is the goroutines parked at one site when the trace ends, and the
// judgement whether they are stuck or at rest.
type Group struct {
	Site *Site
	// Stuck are those that have waited too long for this site's own history;
	// Fresh is the number of the others.
	Stuck []*traceload.Goroutine
	Fresh int

	odds.Sum                 // the evidence, see judge.go
	Confidence float64       // that Stuck will never go on
	Oldest     time.Duration // how long the first of Stuck has waited, as far as the trace shows
	Blocked    time.Duration // summed over Stuck
	Found      int           // of Stuck: parked already when the trace began
	Why        string        // what would have ended the waits and why it did not, a sentence; "" if unknown
	// Test is a test that started most of Stuck and is over; "" for none, or
	// if its name is unknown (OutlivesTest tells).
	Test         string
	OutlivesTest bool

	// origins is where each of Stuck was started, 0 where the trace does not show it.
	origins []traceload.FrameID
	born    map[*births.Site]int // how many of Stuck were born where
	all     []parked
	known   *detectors.KnownWait // what is known of such goroutines anywhere; nil for most
	settled bool                 // the judgement would be the same if more goroutines were stuck
}

// isStuck tells whether a goroutine of another group is stuck, as far as that is known.
func (gr *Group) isStuck(t *Table, id traceload.GoID) bool {
	stuck := t.stuck[id]
	gr.settled = gr.settled && stuck
	return stuck
}

// parked is what the judgement needs to know of one goroutine.
type parked struct {
	g    *traceload.Goroutine
	age  time.Duration
	here visit // what it has experienced at this very site before
}

// forgotten tells whether the goroutines' very existence says that something was forgotten.
func (gr *Group) forgotten() bool { return gr.known != nil && gr.known.Forgot != "" }

func (gr *Group) add(p *traceload.Program, g *traceload.Goroutine, here visit) {
	gr.all = append(gr.all, parked{g: g, age: p.InState(g), here: here})
}

// came is when a goroutine that was born in the trace came to stay: at its
// birth if it has been woken here since, and so has come back to rest.
func (pk *parked) came(w traceload.Wait) time.Duration {
	if pk.here.woken && restful(w) {
		return time.Duration(pk.g.Born)
	}
	return time.Duration(pk.g.Since)
}

// restful tells whether goroutines may wait in this way because they have
// nothing to do. Nobody rests before a lock or on a WaitGroup.
func restful(w traceload.Wait) bool { return !w.IsLock() && w != traceload.WaitWaitGroup }

// Patience is how long a goroutine must have waited at a site to be stuck: by
// far longer than the others did, and a good part of the trace.
const (
	patienceQuantile = 10                    // times the wait that 99 of 100 did not exceed
	patienceLongest  = 2                     // times the longest
	patienceShare    = 20                    // the trace's length divided by this
	patienceAtLeast  = 10 * time.Millisecond // whatever the rest says

	// servesAfter is how long after its test's end somebody who is woken is not woken by what
	// the test does in the end.
	servesAfter = 100 * time.Millisecond
)

func (s *Site) patience(length time.Duration) time.Duration {
	return max(patienceQuantile*s.Quantile(0.99), patienceLongest*s.Longest, length/patienceShare, patienceAtLeast)
}

func (gr *Group) judge(p *traceload.Program, t *Table) {
	length := time.Duration(p.Now)
	s := gr.Site
	gr.settled = true // unless it asks for more
	patience := s.patience(length)
	forEver := s.Wait == traceload.WaitNilChan || s.Wait == traceload.WaitEmptySelect
	var stuck, late []parked
	for _, pk := range gr.all {
		over := outlives(s, t.pass.Tests().Of(pk.g), &pk)
		switch {
		case pk.age >= patience, forEver,
			pk.age >= length,                  // parked since before the trace: no history can excuse it
			over && pk.age >= patienceAtLeast: // nothing that happened before its test ended can
			stuck = append(stuck, pk)
		case pk.age >= max(patienceLongest*s.Longest, patienceAtLeast):
			late = append(late, pk)
		}
	}
	gr.Fresh = len(gr.all) - len(stuck)
	if len(stuck) == 0 || s.Wait == traceload.WaitSleep || s.Wait == traceload.WaitNetwork || s.Wait == traceload.WaitUnknown {
		gr.Fresh = len(gr.all)
		return
	}
	slices.SortFunc(stuck, func(a, b parked) int { return int(b.age - a.age) })
	gr.Oldest = stuck[0].age
	gr.Stuck, gr.origins, gr.Blocked, gr.Found, gr.born = nil, nil, 0, 0, map[*births.Site]int{}
	gr.count(p, t, stuck)
	sc := t.scene(p, gr, stuck)
	sc.window = max(length-patience, 1)
	r := t.reach(p, gr, stuck)
	sc.reach = r
	gr.Sum = sc.judge()
	gr.OutlivesTest = 2*sc.testsOver > len(stuck)
	gr.Test = sc.test
	gr.Why = t.why(p, gr, &r)
	if gr.Confidence = gr.Sum.Confidence(prior); gr.Confidence >= worthReading {
		if timer := t.timer(p, s); timer != "" {
			gr.Note(weightTimerSource, "the source waits for %s as well, which ends the wait", timer)
			gr.Confidence = gr.Sum.Confidence(prior)
		}
	}
	if gr.Confidence >= stuckFrom { // those that came last are of the same kind, though they could not speak for themselves
		slices.SortFunc(late, func(a, b parked) int { return int(b.age - a.age) })
		gr.count(p, t, late)
		gr.Fresh -= len(late)
	}
}

// count takes goroutines for stuck.
func (gr *Group) count(p *traceload.Program, t *Table, list []parked) {
	for _, pk := range list {
		gr.Stuck = append(gr.Stuck, pk.g)
		if s := t.births.Of(pk.g); s != nil {
			gr.born[s]++
		}
		gr.origins = append(gr.origins, p.SiteID(t.births.Origin(pk.g)))
		gr.Blocked += pk.age
		gr.Found += btoi(!pk.g.SinceKnown)
	}
}

// worthReading is the confidence from which the source is asked, where it is at hand.
const worthReading = 0.3

// Timer returns the timer that ends g's wait, as the source calls it; "" if
// there is none, or no source, or if g does not wait.
func (t *Table) Timer(p *traceload.Program, g *traceload.Goroutine) string {
	if g.State != traceload.StateWaiting {
		return ""
	}
	return t.timer(p, t.site(p, g))
}

// timer returns the timer among the channels that goroutines at s wait for, as
// the source calls it; "" if there is none, or no source.
func (t *Table) timer(p *traceload.Program, s *Site) string {
	if t.source == nil || s.Frame == 0 || s.Wait != traceload.WaitSelect && s.Wait != traceload.WaitChanReceive {
		return ""
	}
	f := p.Frame(s.Frame)
	if !t.source.MayWaitForTimer(f.File, f.Line) {
		return ""
	}
	ops, _ := t.source.ChanOps(f.File, f.Line)
	return timerAmong(ops)
}

// timerAmong returns a timer that ends the wait at a line, "" if there is none
// or if more than one statement of the line waits.
func timerAmong(ops []source.ChanOp) string {
	if len(ops) != 1 {
		return ""
	}
	for _, c := range ops[0].Channels {
		if c.Origin == source.OriginTimer && !c.Send {
			return c.Expr
		}
	}
	return ""
}

// outlives tells whether a goroutine waits at s though the test is over that started it. Those
// do not count that were woken there a while after that, and came back: whoever happened to
// start them, they are there for others as well.
func outlives(s *Site, test *tests.Test, pk *parked) bool {
	ended, over := test.Ended()
	serves := pk.here.woken && restful(s.Wait) && s.Wait != traceload.WaitChanSend && pk.g.Since.Sub(ended) >= servesAfter
	return over && !serves
}

// scene gathers what is known of the group.
func (t *Table) scene(p *traceload.Program, gr *Group, stuck []parked) *scene {
	s := gr.Site
	sc := &scene{
		wait: s.Wait, length: time.Duration(p.Now), stuck: len(stuck), found: gr.Found,
		oldest: gr.Oldest, median: stuck[len(stuck)/2].age,
		ended: s.Ended, longest: s.Longest, usual: s.Quantile(0.99),
		timers:      s.Woken[traceload.WakerTimer] + s.Woken[traceload.WakerDeadline],
		serversGone: s.serversGone(p), cornered: s.cornered(p), code: t.code(p, gr),
	}
	switch {
	case gr.forgotten():
		sc.forgotten, sc.inUse = gr.known.Why, users(p, gr.known)
		sc.unused = gr.known.InUse != "" && sc.inUse == 0
	case gr.known != nil:
		sc.atRest = gr.known.Why
	}
	for i := range stuck {
		pk, g := &stuck[i], stuck[i].g
		if g.BornKnown {
			sc.arrivals = append(sc.arrivals, pk.came(s.Wait))
		}
		// Who serves a request is not back to rest: each request is a call of its own.
		if pk.here.woken && !inRequest(p, g.Stack) {
			sc.wokenBefore++
			sc.orphans += btoi(pk.here.by != others && (p.Goroutine(pk.here.by) == nil || gr.isStuck(t, pk.here.by)))
		}
		sc.main = sc.main || g.ID == mainGoroutine
		creator := p.Goroutine(g.Creator)
		sc.creatorsEnded += btoi(g.Creator != traceload.NoGoroutine && creator == nil)
		if site := p.SiteID(g.CreatedAt); creator != nil && site != 0 {
			sc.inUse += btoi(onStack(p, creator.Stack, p.Frame(site).FuncID))
		}
		if test := t.pass.Tests().Of(g); test != nil {
			if outlives(s, test, pk) {
				if sc.testsOver++; sc.testsOver == 1 {
					sc.test = test.Name()
				} else if sc.test != test.Name() {
					sc.test = "" // of several
				}
			}
		}
		if ended, usual, ok := t.births.Outlives(p, g); ok {
			sc.outlive++
			sc.siblingsEnded, sc.siblingsUsual = ended, usual
		}
		sc.requestsOver += btoi(requestOver(p, g, creator))
		sc.online += btoi(t.births.Serves(p, g))
		started, alive := t.births.Children(g)
		sc.childrenAlive += btoi(alive > 0)
		sc.childrenGone += btoi(started > 0 && alive == 0)
	}
	for _, pk := range gr.all {
		sc.last = max(sc.last, pk.came(s.Wait))
	}
	slices.Sort(sc.arrivals)
	if len(stuck) == 1 {
		site := t.births.Of(stuck[0].g)
		sc.once = site != nil && site.Born == 1 && startedOnce(p, stuck[0].g)
	}
	if s.Wait.IsLock() {
		sc.holder, sc.holderSure = t.holder(p, gr)
	}
	sc.ahead, sc.aheadSure = t.ahead(p, gr)
	return sc
}

// requestOver tells whether g was started on behalf of a request that has been
// answered since: by a handler of net/http or grpc that its goroutine has left.
func requestOver(p *traceload.Program, g *traceload.Goroutine, creator *traceload.Goroutine) bool {
	frames := p.Stack(g.CreatedAt).Frames
	for i, id := range frames {
		f := p.Frame(id)
		if !slices.Contains(requestFuncs, f.Func) {
			continue
		}
		// What this called is the handler; it is over if the creator no longer stands in it.
		for _, inner := range slices.Backward(frames[:i]) {
			if h := p.Frame(inner); h.Origin == traceload.OriginUser {
				return creator == nil || !onStack(p, creator.Stack, h.FuncID)
			}
		}
		return false
	}
	return false
}

// startedOnce tells whether the go statement that started g was reached through
// a sync.Once (so are sync.OnceFunc and its kin).
func startedOnce(p *traceload.Program, g *traceload.Goroutine) bool {
	return slices.ContainsFunc(p.Stack(g.CreatedAt).Frames, func(id traceload.FrameID) bool { return p.Frame(id).Func == "sync.(*Once).doSlow" })
}

// inRequest tells whether a stack serves a request.
func inRequest(p *traceload.Program, stack traceload.StackID) bool {
	return slices.ContainsFunc(p.Stack(stack).Frames, func(id traceload.FrameID) bool { return slices.Contains(requestFuncs, p.Frame(id).Func) })
}

// requestFuncs call a user's handler for each request.
var requestFuncs = []string{
	"net/http.HandlerFunc.ServeHTTP", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve",
	"google.golang.org/grpc.(*Server).processUnaryRPC", "google.golang.org/grpc.(*Server).processStreamingRPC",
}

// mainGoroutine is the goroutine that runs main.main: the runtime's first.
const mainGoroutine traceload.GoID = 1

func onStack(p *traceload.Program, stack traceload.StackID, fn traceload.FuncID) bool {
	return slices.ContainsFunc(p.Stack(stack).Frames, func(f traceload.FrameID) bool { return p.Frame(f).FuncID == fn })
}

// holder looks for a goroutine that may hold the lock which gr waits for, and
// says where it is: it has been there for as long, is at work, and stands in
// the function that takes the lock (sure), or in another method of its type.
func (t *Table) holder(p *traceload.Program, gr *Group) (where string, sure bool) {
	site := p.Frame(gr.Site.Frame)
	typ := receiver(site.Func)
	since := gr.Stuck[0].Since
	for g := range p.Live {
		if g.System || g.Born > since || !atWork(p, g) {
			continue
		}
		for _, id := range p.Stack(g.Stack).Frames {
			f := p.Frame(id)
			if same := f.FuncID == site.FuncID; same || where == "" && typ != "" && receiver(f.Func) == typ {
				where, sure = detectors.FrameOf(f).Where(), same
			}
			if sure {
				return where, sure
			}
		}
	}
	return where, sure
}

// atWork tells whether g runs, or waits for something that comes by itself.
func atWork(p *traceload.Program, g *traceload.Goroutine) bool {
	if g.State == traceload.StateWaiting && g.Wait != traceload.WaitSleep && g.Wait != traceload.WaitNetwork {
		return !g.Wait.IsLock() && 10*p.InState(g) < time.Duration(p.Now)
	}
	return true
}

// receiver is the package and type in a method's name, "" for a function.
func receiver(fn string) string {
	pkg := traceload.PackagePath(fn)
	if rest := fn[len(pkg):]; len(rest) > 2 && rest[1] == '(' {
		for i, c := range rest {
			if c == ')' {
				return fn[:len(pkg)+i]
			}
		}
	}
	return ""
}

// ahead asks whether a queue moves whose head the trace does not show: channels
// and locks serve who came first, so as long as goroutines parked before the
// trace are woken, those behind them are not stuck. It returns how many were,
// and whether the function that woke them is the one that waits here: a
// function unlocks what it locked.
func (t *Table) ahead(p *traceload.Program, gr *Group) (n int, sure bool) {
	if gr.Site.Ended > 0 || len(gr.Stuck) == gr.Found || gr.Site.Frame == 0 {
		return 0, false
	}
	here := p.Frame(gr.Site.Frame).FuncID
	for stack, s := range t.strangers {
		if !t.stacks.Get(stack).how.ends(gr.Site.Wait) || 4*s.last < 3*p.Now {
			continue
		}
		site := p.Site(stack)
		same := site != nil && site.FuncID == here
		if same && !sure || same == sure && s.n > n {
			n, sure = s.n, same
		}
	}
	return n, sure
}

// code tells whose code waits.
func (t *Table) code(p *traceload.Program, gr *Group) code {
	st := p.Stack(gr.Site.Stack)
	owner := traceload.OriginUser
	if st.Owner >= 0 {
		owner = p.Frame(st.Frames[st.Owner]).Origin
	}
	switch {
	case owner == traceload.OriginTesting:
		return codeTesting
	case gr.Site.Frame == 0:
		return codeUnknown
	case p.Frame(gr.Site.Frame).Origin != traceload.OriginUser:
		return codeStdOnly
	case t.births.Network(p, gr.Site.Stack):
		return codeNetwork
	case owner == traceload.OriginStd:
		return codeStd
	}
	return codeUser
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
