package lockheldwhileblocked

import (
	"cmp"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/locks"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waitgraph"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

const (
	// lostAtLeast is the time, summed over all waiters, from which a finding is
	// worth a line at all; what it is worth is decided in rank.go.
	lostAtLeast = time.Millisecond
	// explainsFrom is the part of what was waited at a line that must be
	// explained, so that lock-contention need not tell of it.
	explainsFrom = 0.5
	// maxHolders and maxWaiters bound the stacks that a finding shows.
	maxHolders, maxWaiters = 3, 5
)

// Weights of the evidence, on the scale of log odds: confidence = 1 / (1 + exp(-sum)).
const (
	prior         = -1.0
	weightLines   = 2.5  // blocked between the line that locks and the one that unlocks
	weightCall    = 1.8  // blocked in a call of the function that then unlocked
	weightPlace   = 1.2  // alone behind a line where others wait, and nobody gets on
	weightTime    = 1.0  // the lock was not released while the holder was blocked
	weightMost    = 0.7  // for most of the time that it had the lock
	weightRepeats = 0.7  // again and again
	weightOnce    = -1.0 // a single wait
	weightMany    = -0.3 // several locks share these lines
	weightStd     = -1.5 // the standard library's own lock: it will have a reason
)

const (
	mostShare = 0.5
	repeats   = 5
	many      = 1.5 // locks of the class waited for at one time
)

// Detector finds holders of locks that wait, while others wait for the lock.
var Detector = &detectors.Detector{
	Name:   "lock-held-while-blocked",
	Family: detectors.Locks,
	Doc:    doc,
	Yields: []string{"deadlock"},
	Causes: []detectors.Cause{
		{Name: "sleep", Pattern: "shrink-critical-section", Cap: detectors.High},
		{Name: "network", Pattern: "shrink-critical-section", Others: []string{"single-flight"}, Cap: detectors.High},
		{Name: "channel", Pattern: "unlock-before-send", Cap: detectors.High},
		{Name: "select", Pattern: "unlock-before-send", Cap: detectors.High},
		{Name: "syscall", Pattern: "shrink-critical-section", Cap: detectors.High},
		{Name: "wait", Pattern: "no-wait-under-lock", Cap: detectors.High},
		{Name: "lock", Pattern: "lock-ordering", Cap: detectors.High},
	},
	New: func(p *detectors.Pass) detectors.Observer {
		detectors.Need(p, waitgraph.Fact) // it tells the table of locks who holds them at the end
		return &observer{pass: p, locks: detectors.Need(p, locks.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass  *detectors.Pass
	locks *locks.Table
	_     cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer: one finding per lock, cause and
// function that holds the lock.
func (o *observer) Finish(p *traceload.Program) {
	for _, c := range o.locks.Classes {
		if c.Once {
			continue // to wait for the first caller is what a Once is for
		}
		type key struct {
			cause locks.Cause
			fn    traceload.FuncID
		}
		var order []key
		groups := map[key]*problem{}
		for _, h := range c.Holdups {
			k := key{h.Cause, h.Func}
			pr, ok := groups[k]
			if !ok {
				pr = &problem{class: c, cause: h.Cause}
				groups[k] = pr
				order = append(order, k)
			}
			pr.add(h)
		}
		for _, k := range order {
			if pr := groups[k]; pr.lost >= lostAtLeast {
				o.pass.Report(o.finding(p, pr))
			}
		}
	}
}

// problem is what one finding tells: holdups of one lock, cause and function.
type problem struct {
	class   *locks.Class
	name    string // the lock's, by the source; "" if unknown
	cause   locks.Cause
	holdups []*locks.Holdup // the costliest first
	lost    time.Duration
	waits   int
	waiters []*locks.Share // one per line, the costliest first
}

func (pr *problem) add(h *locks.Holdup) {
	pr.holdups = append(pr.holdups, h)
	pr.lost += h.Lost
	for _, s := range h.Shares {
		pr.waits += s.Waits
		i := slices.IndexFunc(pr.waiters, func(w *locks.Share) bool { return w.Line == s.Line })
		if i < 0 {
			c := *s
			pr.waiters = append(pr.waiters, &c)
			continue
		}
		w := pr.waiters[i]
		w.Lost += s.Lost
		w.Waits += s.Waits
		for _, id := range s.Who.IDs {
			if !slices.Contains(w.Who.IDs, id) && len(w.Who.IDs) < detectors.MaxGroupIDs {
				w.Who.IDs = append(slices.Clip(w.Who.IDs), id)
			}
		}
		w.Who.Count = max(w.Who.Count, s.Who.Count, int32(len(w.Who.IDs)))
	}
	slices.SortStableFunc(pr.waiters, func(a, b *locks.Share) int { return cmp.Compare(b.Lost, a.Lost) })
}

// goroutines is how many different ones waited, at least.
func (pr *problem) goroutines() int {
	ids := map[int64]bool{}
	n := 0
	for _, h := range pr.holdups {
		n = max(n, int(h.Victims))
		for _, s := range h.Shares {
			for _, id := range s.Who.IDs {
				ids[id] = true
			}
		}
	}
	return max(n, len(ids))
}

// words per cause: what the holder does, what it did, and when that is all right.
var words = map[locks.Cause]struct{ does, wrongIf string }{
	locks.CauseSleep:   {"sleeps", "nobody may have the lock before that time has passed"},
	locks.CauseNetwork: {"waits for the network", "the lock is there to let only one at a time use that connection, or nobody may go on before the answer is stored"},
	locks.CauseChannel: {"waits for a channel", "the others must not go on before the other side of the channel has taken part"},
	locks.CauseSelect:  {"waits in a select", "the others must not go on before one of the cases has happened"},
	locks.CauseSyscall: {"sits in a system call", "the lock is there to let only one at a time use that file or process"},
	locks.CauseWait:    {"waits for other goroutines", "the others must not go on before those goroutines are done"},
	locks.CauseLock:    {"waits for another lock", "both locks must be held together, and the other one is held for as long as it must be"},
}

// does says what the holder does while it has the lock.
func does(h *locks.Holdup, reason string) string {
	switch {
	case h.Cause == locks.CauseChannel && reason == "chan send":
		return "waits for a receiver"
	case h.Cause == locks.CauseChannel && reason == "chan receive":
		return "waits to receive"
	case h.Cause == locks.CauseSyscall && reason != "":
		return "waits for a file or a process"
	case h.Cause == locks.CauseWait && reason == "sync":
		return "waits for a WaitGroup"
	case h.Cause == locks.CauseWait:
		return "waits for a Cond"
	}
	return words[h.Cause].does
}

func (o *observer) finding(p *traceload.Program, pr *problem) detectors.Finding {
	top := pr.holdups[0]
	fn := p.Frame(funcOf(p, top))
	name := fn.Func
	if fn.Origin != traceload.OriginUser {
		name = p.Site(top.Block).Func // the lock is the standard library's: say who came to it
	}
	n := pr.goroutines()
	holders := o.locks.Blocked(p, top)
	doing := does(top, holders.Reason)
	lock := pr.class.Article()
	if pr.name = o.locks.Name(p, pr.class); pr.name != "" {
		lock = pr.name
	}
	f := detectors.Finding{
		Cause:   pr.cause.String(),
		Effect:  detectors.EffectDelays,
		Title:   fmt.Sprintf("%s %s while it holds %s that %s for", detectors.Short(name), doing, lock, waitFor(n)),
		Impact:  detectors.Impact{Goroutines: n, Blocked: pr.lost, Occurrences: pr.waits},
		Site:    detectors.SiteOf(p, top.Block),
		Groups:  []detectors.Group{holders},
		WrongIf: words[pr.cause].wrongIf,
		Key:     []string{fn.Func},
	}
	if top.Proof == locks.ProofPlace {
		f.Title = fmt.Sprintf("%s %s and seems to hold %s that %s for", detectors.Short(name), doing, lock, waitFor(n))
	}
	f.Evidence, f.Confidence = o.evidence(p, pr)
	f.Detail = o.detail(p, pr, doing, f.Site)
	explain := func(stack traceload.StackID) {
		if at := detectors.SiteOf(p, stack); at != f.Site && !slices.Contains(f.Explains, at) {
			f.Explains = append(f.Explains, at)
		}
	}
	for _, h := range pr.holdups[1:] {
		explain(h.Block)
		if len(f.Groups) < maxHolders {
			f.Groups = append(f.Groups, o.locks.Blocked(p, h))
		}
	}
	for i, w := range pr.waiters {
		if i < maxWaiters {
			f.Groups = append(f.Groups, o.locks.Waiters(p, w.Line, &w.Who))
		}
		if float64(w.Line.Blocked) >= explainsFrom*float64(w.Line.Waited) {
			explain(w.Line.Stack)
		}
	}
	f.Timeline = timeline(pr, doing, f.Site)
	return f
}

// funcOf returns a frame of the function that holds the lock.
func funcOf(p *traceload.Program, h *locks.Holdup) traceload.FrameID {
	for _, id := range p.Stack(h.Block).Frames {
		if p.Frame(id).FuncID == h.Func {
			return id
		}
	}
	return p.SiteID(h.Block)
}

func waitFor(n int) string {
	if n == 1 {
		return "1 goroutine waits"
	}
	return fmt.Sprintf("%d goroutines wait", n)
}

func (o *observer) evidence(p *traceload.Program, pr *problem) (list []detectors.Evidence, confidence float64) {
	sum := prior
	note := func(weight float64, format string, args ...any) {
		sum += weight
		list = append(list, detectors.Evidence{Text: fmt.Sprintf(format, args...), Weight: weight})
	}
	top := pr.holdups[0]
	fn := detectors.Short(p.Frame(funcOf(p, top)).Func)
	switch top.Proof {
	case locks.ProofLines:
		if top.Exit == 0 {
			note(weightLines, "%s was handed the lock at line %d and had not released it when the trace ended", fn, top.LockLine)
		} else {
			note(weightLines, "%s locks at line %d, was blocked on the way, and unlocks at line %d", fn, top.LockLine, top.UnlockLine)
		}
	case locks.ProofCall:
		note(weightCall, "%s was blocked and then unlocked at line %d, in one call", fn, top.UnlockLine)
	case locks.ProofSource:
		note(weightLines, "by the source %s holds the lock there, and had not released it when the trace ended", fn)
	case locks.ProofPlace:
		if top.LockLine == 0 {
			note(weightPlace, "nobody has released the lock since, and of those alive this goroutine alone stands where one who holds it would")
			break
		}
		note(weightPlace, "nobody has released the lock since, others wait for it in %s at line %d, and this goroutine alone stands behind that line", fn, top.LockLine)
	default:
		note(weightTime, "the lock was not released while the holder was blocked, though others waited for it")
	}
	if top.Share >= mostShare && top.Exit != 0 {
		note(weightMost, "%.0f%% of the time that it held the lock before that, it was blocked", 100*top.Share)
	}
	switch {
	case pr.waits >= repeats:
		note(weightRepeats, "it made others wait %d times", pr.waits)
	case pr.waits == 1:
		note(weightOnce, "it happened once")
	}
	if pr.class.Instances >= many {
		note(weightMany, "the waiters were not served first in, first out: about %.0f locks share these lines", math.Round(pr.class.Instances))
	}
	if pr.class.Std {
		note(weightStd, "the lock is the standard library's own")
	}
	return list, 1 / (1 + math.Exp(-sum))
}

func (o *observer) detail(p *traceload.Program, pr *problem, doing string, site detectors.Frame) string {
	var b strings.Builder
	top := pr.holdups[0]
	fn := detectors.FrameOf(p.Frame(funcOf(p, top)))
	at := func(line int) string { return detectors.Frame{Func: fn.Func, File: fn.File, Line: line}.Where() }
	lock := "the " + pr.class.Noun()
	if pr.name != "" {
		lock = pr.name
	}
	since, known := o.locks.Taken(p, top.Block, pr.name)
	switch {
	case known:
		fmt.Fprintf(&b, "G%d %s holds %s since %s and %s at %s", top.Sample.Holder, detectors.Short(fn.Func), lock, since.Where(), doing, site.Where())
		switch {
		case top.Exit == 0:
			b.WriteString(", and still did when the trace ended.")
		default:
			fmt.Fprintf(&b, "; it unlocks at %s.", at(top.UnlockLine))
		}
	case top.LockLine != 0 && top.Exit != 0 && top.LockLine <= top.UnlockLine:
		fmt.Fprintf(&b, "It takes %s at %s, %s at %s, and unlocks at %s.", lock, at(top.LockLine), doing, site.Where(), at(top.UnlockLine))
	case top.Exit != 0:
		fmt.Fprintf(&b, "It has %s, %s at %s, and unlocks at %s.", lock, doing, site.Where(), at(top.UnlockLine))
	case top.LockLine == 0:
		fmt.Fprintf(&b, "It seems to have %s, which it took where the trace does not show it, %s at %s, and still did when the trace ended.", lock, doing, site.Where())
	case top.Proof == locks.ProofPlace:
		fmt.Fprintf(&b, "It seems to have taken %s at %s before the trace shows it, %s at %s, and still did when the trace ended.", lock, at(top.LockLine), doing, site.Where())
	default:
		fmt.Fprintf(&b, "It took %s at %s, %s at %s, and still did when the trace ended.", lock, at(top.LockLine), doing, site.Where())
	}
	var waited time.Duration
	var order []string
	waits := map[string]int{}
	for _, w := range pr.waiters {
		waited += w.Line.Waited
		at := detectors.SiteOf(p, w.Line.Stack).Where()
		if waits[at] == 0 {
			order = append(order, at)
		}
		waits[at] += w.Waits
	}
	var where []string
	for _, at := range order[:min(len(order), 3)] {
		where = append(where, fmt.Sprintf("%d at %s", waits[at], at))
	}
	fmt.Fprintf(&b, " %s for the lock (%s) lost %s to that, %.0f%% of all that was waited there; the longest lost %s.",
		detectors.Count(pr.waits, "wait"), strings.Join(where, ", "), detectors.Duration(pr.lost), 100*min(1, float64(pr.lost)/float64(max(waited, 1))),
		detectors.Duration(longest(pr)))
	if rest := pr.holdups[1:]; len(rest) > 0 {
		seen := map[string]bool{site.Where(): true}
		var more []string
		for _, h := range rest {
			if at := detectors.SiteOf(p, h.Block).Where(); !seen[at] && len(more) < 3 {
				seen[at] = true
				more = append(more, at)
			}
		}
		if len(more) > 0 {
			fmt.Fprintf(&b, " It also does so at %s.", strings.Join(more, ", "))
		}
	}
	return b.String()
}

func longest(pr *problem) (d time.Duration) {
	for _, h := range pr.holdups {
		d = max(d, h.Sample.Lost)
	}
	return d
}

func timeline(pr *problem, doing string, site detectors.Frame) []detectors.TimelineEvent {
	s := pr.holdups[0].Sample
	lock := "the " + pr.class.Noun()
	if pr.name != "" {
		lock = pr.name
	}
	has := "has the lock and "
	if pr.holdups[0].Proof == locks.ProofPlace {
		has = "seems to have the lock and "
	}
	list := []detectors.TimelineEvent{
		{T: s.Since, Goroutine: int64(s.Waiter), Event: "blocked", Text: "waits for " + lock},
		{T: s.Blocked, Goroutine: int64(s.Holder), Event: "blocked", Text: has + doing + " at " + site.Where()},
	}
	if pr.holdups[0].Exit != 0 {
		list = append(list,
			detectors.TimelineEvent{T: s.Unblocked, Goroutine: int64(s.Holder), Event: "woken", Text: "goes on"},
			detectors.TimelineEvent{T: s.Released, Goroutine: int64(s.Holder), Event: "released", Text: "unlocks"})
		after := "gets the lock"
		if !s.Direct {
			after = "gets the lock, after others"
		}
		list = append(list, detectors.TimelineEvent{T: s.Until, Goroutine: int64(s.Waiter), Event: "woken", Text: after})
	}
	slices.SortStableFunc(list, func(a, b detectors.TimelineEvent) int { return cmp.Compare(a.T, b.T) })
	return list
}
