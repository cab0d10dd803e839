package waits

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
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

	// Confidence that Stuck will never go on, from Evidence: see weights.
	Confidence float64
	Evidence   []detectors.Evidence
	Oldest     time.Duration // how long the first of Stuck has waited, as far as the trace shows
	Blocked    time.Duration // summed over Stuck
	Found      int           // of Stuck: parked already when the trace began

	all       []parked
	gathers   bool       // new ones were born all through the trace, and stayed
	forgotten *forgotten // what their very existence says was forgotten; nil for most
}

// parked is what the judgement needs to know of one goroutine.
type parked struct {
	g             *traceload.Goroutine
	age           time.Duration
	wokenBefore   bool // it was woken at this very site before
	creatorEnded  bool // its creator is known and has ended
	wakerEnded    bool // it was woken before, by a goroutine that has ended
	creatorOnline bool // its creator is alive, has this one child, and waits for the network
	childrenGone  bool // it created goroutines, and all of them have ended
	childrenAlive bool
}

func (gr *Group) add(p *traceload.Program, g *traceload.Goroutine, o *occupant) {
	pk := parked{
		g: g, age: p.InState(g), wokenBefore: o.wokenAt(gr.Site) > 0,
		childrenGone:  o.fathered > 0 && o.children == 0,
		childrenAlive: o.children > 0,
	}
	pk.wakerEnded = o.wokenBy != traceload.NoGoroutine && p.Goroutine(o.wokenBy) == nil
	if g.Creator != traceload.NoGoroutine {
		creator := p.Goroutine(g.Creator)
		pk.creatorEnded = creator == nil
		if creator != nil && creator.State == traceload.StateWaiting && creator.Wait == traceload.WaitNetwork {
			pk.creatorOnline = true
		}
	}
	gr.all = append(gr.all, pk)
}

// The judgement adds up the weights of what speaks for and against, on the
// scale of log odds: confidence = 1 / (1 + exp(-sum)). A weight of 1 makes
// "stuck" 2.7 times as likely as before, 3 makes it 20 times as likely.
// Nobody is stuck without evidence: the sum starts at prior.
const (
	prior = -1.5

	// What is waited for. For ever is for ever; a sender has something to hand
	// over, and a waiter for a lock or a WaitGroup depends on code that should
	// run anyway; receivers and selects are how goroutines rest.
	weightForEver   = 6.0
	weightSend      = 1.0
	weightLock      = 1.5
	weightWaitGroup = 0.5
	weightCond      = 0.0
	weightReceive   = -0.5

	// How they came here.
	weightGathers   = 2.0  // new ones through most of the trace, and none left
	weightSome      = 1.0  // new ones, but not through most of it
	weightLevelsOff = -1.5 // new ones only early: a warm-up
	weightTogether  = -1.5 // all at one time: a pool
	weightAllFound  = -1.0 // all were here when the trace began: nothing is seen of their story
	weightFoundLock = 1.0  // … but nobody rests on a lock, or on a send, for a second
	weightMany      = 0.5  // ten and more
	weightTwo       = -0.5
	weightOne       = -1.5

	// The history of the place.
	weightOutlier      = 1.5  // others were woken here, and soon
	weightNobodyWoken  = 0.5  // nobody has ever been woken here
	weightWokenBefore  = -3.5 // these very goroutines were woken here before: a loop
	weightWokenLeft    = -1.5 // … but new ones keep coming, and stay
	weightWakerEnded   = 1.5  // … and who woke each of them has ended since
	weightOthersWaited = -2.0 // others waited about as long and were woken
	weightQueueMoves   = -3.0 // those that parked before the trace are still being served: first in, first out

	// The family.
	weightCreatorEnded  = 1.0  // the goroutine that started them has ended
	weightCreatorOnline = -2.0 // … serves a connection that is open
	weightChildrenGone  = 2.5  // a parent waits, and all that it started have ended
	weightChildrenAlive = -3.0
	weightMain          = -4.0 // main waits for the end of the program

	// Whose code it is.
	weightStd     = -1.5 // the wait is inside the standard library
	weightStdOnly = -4.0 // … and so is the whole goroutine
	weightTesting = -6.0 // package testing waits for tests

	// Goroutines that the standard library starts only until something is
	// closed or cancelled, see forgotten.go.
	weightForgotten = 1.5
)

// Patience is how long a goroutine must have waited at a site to be stuck: by
// far longer than the others did, and a good part of the trace.
const (
	patienceQuantile = 10                    // times the wait that 99 of 100 did not exceed
	patienceLongest  = 2                     // times the longest
	patienceShare    = 20                    // the trace's length divided by this
	patienceAtLeast  = 10 * time.Millisecond // whatever the rest says
)

func (s *Site) patience(length time.Duration) time.Duration {
	return max(patienceQuantile*s.Quantile(0.99), patienceLongest*s.Longest, length/patienceShare, patienceAtLeast)
}

func (gr *Group) judge(p *traceload.Program, t *Table) {
	length := time.Duration(p.Now)
	s := gr.Site
	patience := s.patience(length)
	forEver := s.Wait == traceload.WaitNilChan || s.Wait == traceload.WaitEmptySelect
	var stuck []parked
	for _, pk := range gr.all {
		if pk.age >= patience || forEver || pk.age >= length { // parked since before the trace: no history can excuse it
			stuck = append(stuck, pk)
		}
	}
	gr.Fresh = len(gr.all) - len(stuck)
	if len(stuck) == 0 || s.Wait == traceload.WaitSleep || s.Wait == traceload.WaitNetwork || s.Wait == traceload.WaitUnknown {
		gr.Fresh = len(gr.all)
		return
	}
	slices.SortFunc(stuck, func(a, b parked) int { return int(b.age - a.age) })
	gr.Oldest = stuck[0].age
	for _, pk := range stuck {
		gr.Stuck = append(gr.Stuck, pk.g)
		gr.Blocked += pk.age
		if !pk.g.SinceKnown {
			gr.Found++
		}
	}
	gr.judgeKind(p)
	gr.judgeArrival(stuck, length, patience)
	gr.judgeHistory(stuck)
	gr.judgeQueue(t, p.Now)
	gr.judgeFamily(stuck)
	gr.judgeCode(p)
	sum := prior
	for _, e := range gr.Evidence {
		sum += e.Weight
	}
	gr.Confidence = 1 / (1 + math.Exp(-sum))
}

func (gr *Group) note(weight float64, format string, args ...any) {
	gr.Evidence = append(gr.Evidence, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
}

func (gr *Group) judgeKind(p *traceload.Program) {
	switch gr.Site.Wait {
	case traceload.WaitNilChan:
		gr.note(weightForEver, "the channel is nil: no send or receive on it can ever go on")
	case traceload.WaitEmptySelect:
		gr.note(weightForEver, "an empty select can never go on")
	case traceload.WaitChanSend:
		gr.note(weightSend, "they have a value to hand over and nobody takes it")
	case traceload.WaitMutex, traceload.WaitRWMutexW, traceload.WaitRWMutexR:
		gr.note(weightLock, "they wait for a lock, which nobody should hold for long")
	case traceload.WaitWaitGroup:
		gr.note(weightWaitGroup, "they wait for a WaitGroup, which somebody should bring to zero")
	case traceload.WaitCond:
		gr.note(weightCond, "they wait for a signal; so do idle workers")
	default:
		gr.note(weightReceive, "they wait to be told something; so do idle workers")
	}
}

// judgeArrival asks how the stuck ones came here: all along (a leak), early
// (a warm-up), at once (a pool), or before the trace began.
func (gr *Group) judgeArrival(stuck []parked, length, patience time.Duration) {
	n := len(stuck)
	var arrivals []time.Duration // since the trace's start; what is younger than patience cannot be stuck yet
	for _, pk := range stuck {
		if pk.g.SinceKnown {
			arrivals = append(arrivals, time.Duration(pk.g.Since))
		}
	}
	slices.Sort(arrivals)
	window := max(length-patience, 1)
	quarters := map[int]bool{}
	for _, a := range arrivals {
		quarters[min(3, int(4*a/window))] = true
	}
	switch first, last := span(arrivals); {
	case len(arrivals) == 0:
		gr.note(weightAllFound, "all were parked here before the trace began and have not moved for its %s", detectors.Duration(length))
		if w := gr.Site.Wait; (w.IsLock() || w == traceload.WaitChanSend) && length >= time.Second {
			gr.note(weightFoundLock, "nobody rests on a lock or a send that long")
		}
	case len(arrivals) < 3:
		// Too few to see a shape; their number speaks below.
	case n >= 3 && last-first < length/20:
		gr.note(weightTogether, "they came together within %s, as a pool does", detectors.Duration(last-first))
	case time.Duration(gr.lastCame()) < 3*length/4:
		gr.note(weightLevelsOff, "no new ones came after %s: it may be a warm-up", detectors.Duration(time.Duration(gr.lastCame())))
	case len(quarters) >= 3 && quarters[3]:
		gr.gathers = gr.bornThroughout(stuck, window)
		gr.note(weightGathers, "they gathered all through the trace, %d of them, and none has left", len(arrivals))
	case quarters[3] || quarters[2] && len(quarters) >= 2:
		gr.note(weightSome, "%d came during the trace, and none has left", len(arrivals))
	default:
		gr.note(weightLevelsOff, "no new ones came after %s: it may be a warm-up", detectors.Duration(last))
	}
	switch {
	case n >= 10:
		gr.note(weightMany, "there are %d of them", n)
	case n == 2:
		gr.note(weightTwo, "there are only two of them")
	case n == 1:
		gr.note(weightOne, "there is only one of them")
	}
}

// lastCame is when the last of all that are parked here came, stuck or not: a
// goroutine that has been woken here came when it was born.
func (gr *Group) lastCame() traceload.Time {
	var last traceload.Time
	for _, pk := range gr.all {
		came := pk.g.Since
		if pk.wokenBefore {
			came = pk.g.Born
		}
		last = max(last, came)
	}
	return last
}

// judgeQueue asks whether a queue moves whose head the trace does not show:
// channels and locks serve who came first, so as long as goroutines parked
// before the trace are woken, those behind them are not stuck.
func (gr *Group) judgeQueue(t *Table, now traceload.Time) {
	if gr.Site.Ended > 0 || len(gr.Stuck) == gr.Found {
		return
	}
	most := 0
	for stack, s := range t.strangers {
		if t.wakes[stack].ends(gr.Site.Wait) && 4*s.last > 3*now {
			most = max(most, s.n)
		}
	}
	if most >= 3 && 20*most >= len(gr.Stuck) {
		gr.note(weightQueueMoves, "%d goroutines that were parked before the trace began were woken in such a way: perhaps these are next in the queue", most)
	}
}

// ends tells whether a wake-up of this kind can end a wait of that kind.
func (w wake) ends(wait traceload.Wait) bool {
	switch {
	case wait == traceload.WaitChanSend:
		return w == wakeReceive || w == wakeSelect
	case wait == traceload.WaitChanReceive || wait == traceload.WaitSelect:
		return w == wakeSend || w == wakeSelect
	}
	return wait.IsLock() && w == wakeUnlock
}

// bornThroughout tells whether most of the stuck were born in the trace, and
// at all times of it.
func (gr *Group) bornThroughout(stuck []parked, window time.Duration) bool {
	quarters, born := map[int]bool{}, 0
	for _, pk := range stuck {
		if pk.g.BornKnown {
			born++
			quarters[min(3, int(4*time.Duration(pk.g.Born)/window))] = true
		}
	}
	return 2*born > len(stuck) && len(quarters) >= 3
}

func span(sorted []time.Duration) (first, last time.Duration) {
	if len(sorted) == 0 {
		return 0, 0
	}
	return sorted[0], sorted[len(sorted)-1]
}

// enoughHistory is how many waits must have ended at a place to speak of what is usual there.
const enoughHistory = 5

func (gr *Group) judgeHistory(stuck []parked) {
	s := gr.Site
	woken, orphans := 0, 0
	for _, pk := range stuck {
		woken += btoi(pk.wokenBefore)
		orphans += btoi(pk.wokenBefore && pk.wakerEnded)
	}
	median := stuck[len(stuck)/2].age
	switch {
	case 2*woken > len(stuck) && gr.gathers:
		gr.note(weightWokenLeft, "%d of them were woken here before", woken)
		if 2*orphans > len(stuck) {
			gr.note(weightWakerEnded, "the goroutines that used to wake %d of them have ended", orphans)
		}
	case 2*woken > len(stuck):
		gr.note(weightWokenBefore, "%d of them were woken here before: they come back to rest", woken)
	case s.Ended > 0 && 2*s.Longest > median:
		gr.note(weightOthersWaited, "others waited here for up to %s and were woken", detectors.Duration(s.Longest))
	case s.Ended >= enoughHistory:
		gr.note(weightOutlier, "%d others that waited here were woken, 99 of 100 of them within %s", s.Ended, detectors.Duration(s.Quantile(0.99)))
	case s.Ended == 0 && len(stuck) > 1:
		gr.note(weightNobodyWoken, "nobody has been woken here during the trace")
	}
}

func (gr *Group) judgeFamily(stuck []parked) {
	var main, ended, online, gone, alive int
	children := map[traceload.GoID]int{} // parked here, by creator
	for _, pk := range stuck {
		children[pk.g.Creator]++
	}
	for _, pk := range stuck {
		main += btoi(pk.g.ID == mainGoroutine)
		ended += btoi(pk.creatorEnded)
		online += btoi(pk.creatorOnline && children[pk.g.Creator] == 1)
		gone += btoi(pk.childrenGone)
		alive += btoi(pk.childrenAlive)
	}
	n := len(stuck)
	if main > 0 && n == 1 && !gr.Site.Wait.IsLock() {
		gr.note(weightMain, "main waits here, perhaps for the end of the program")
	}
	switch {
	case 2*ended > n:
		gr.note(weightCreatorEnded, "the goroutines that started %d of them have ended", ended)
	case 2*online > n:
		gr.note(weightCreatorOnline, "the goroutines that started them serve connections that are open")
	}
	if w := gr.Site.Wait; w != traceload.WaitChanSend && !w.IsLock() {
		switch {
		case 2*alive > n:
			gr.note(weightChildrenAlive, "goroutines that they started are still alive and may wake them")
		case 2*gone > n && w == traceload.WaitWaitGroup:
			gr.note(weightChildrenGone, "the goroutines that they started have all ended, so nobody is left to call Done")
		}
	}
}

// mainGoroutine is the goroutine that runs main.main: the runtime's first.
const mainGoroutine traceload.GoID = 1

func (gr *Group) judgeCode(p *traceload.Program) {
	if gr.forgotten != nil {
		gr.note(weightForgotten, "%s", gr.forgotten.why)
		return
	}
	st := p.Stack(gr.Site.Stack)
	if st.Owner >= 0 && p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginTesting {
		gr.note(weightTesting, "package testing waits here for tests")
		return
	}
	if gr.Site.Frame == 0 {
		gr.note(weightStdOnly, "nothing of the stack is known")
		return
	}
	switch {
	case p.Frame(gr.Site.Frame).Origin != traceload.OriginUser:
		gr.note(weightStdOnly, "the goroutine is the standard library's own")
	case st.Owner >= 0 && p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginStd:
		gr.note(weightStd, "the wait is inside the standard library")
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
