package schedulerlatency

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

const (
	// pieceAtMost bounds one stretch of assisting. It scans in proportion to
	// what is allocated, mostly for less than a millisecond, and for several
	// only for large objects; more means that the thread did not run meanwhile.
	pieceAtMost   = 10 * time.Millisecond
	assistAtLeast = 50 * time.Millisecond
	// assistShare is the part of the program's running time from which
	// assisting is worth a word. The collector itself takes a quarter of the
	// processors while it marks; assists come on top where that is too little.
	assistShare   = 0.12
	cyclesAtLeast = 4
	tightGoal     = 1.35 // heap goal over what is alive: below, a memory limit or a low GOGC keeps the heap small
	roomyGOGC     = 400  // what the estimate assumes the heap may grow by, in percent
)

// assist is a goroutine's present stretch of marking on the collector's behalf.
type assist struct {
	site    traceload.FrameID // where it allocated; 0 if it does not assist
	stack   traceload.StackID
	running bool
	since   traceload.Time
	total   time.Duration
}

func (a *assist) begin(p *traceload.Program, ev *traceload.Event) {
	*a = assist{site: p.SiteID(ev.Stack), stack: ev.Stack, running: true, since: p.Now}
}

// pause ends a piece of it; what follows it waits, or does not run.
func (a *assist) pause(now traceload.Time) {
	if a.site != 0 && a.running {
		a.total += min(now.Sub(a.since), pieceAtMost)
		a.running = false
	}
}

func (a *assist) resume(now traceload.Time) {
	if a.site != 0 && !a.running {
		a.running, a.since = true, now
	}
}

// assists sums them up by the line that allocates.
type assists struct {
	sites  map[traceload.FrameID]*assistSite
	cycles int
	marked time.Duration // while the collector marked
	inMark bool
	since  traceload.Time
	fresh  bool  // marking has ended, the next size of the heap is what is alive
	live   int64 // bytes alive after the last marking
	goal   int64 // bytes at which the next one is to end
	lives  int64 // sums over the cycles, of the cycles in which both are known
	goals  int64
	known  int // these cycles
}

type assistSite struct {
	frame      traceload.FrameID
	total      time.Duration
	count      int
	goroutines detectors.Roll
	stack      traceload.StackID
	entry      traceload.StackID
	created    traceload.StackID
	testing    bool
}

func (a *assists) book(p *traceload.Program, g *traceload.Goroutine, as *assist) {
	s := a.sites[as.site]
	if s == nil {
		s = &assistSite{frame: as.site}
		a.sites[as.site] = s
	}
	s.total += as.total
	s.count++
	s.stack, s.entry, s.created = as.stack, g.Entry, g.CreatedAt
	s.testing = s.testing || p.Stack(as.stack).Testing
	*as = assist{}
	s.goroutines.Note(g.ID)
}

func (a *assists) markBegins(p *traceload.Program) {
	if !a.inMark {
		a.inMark, a.since = true, p.Now
	}
}

func (a *assists) markEnds(p *traceload.Program) {
	if a.inMark {
		a.inMark = false
		a.cycles++
		a.marked += p.Now.Sub(a.since)
		a.fresh = true
	}
}

const (
	metricGoal = "/gc/heap/goal:bytes"
	metricHeap = "/memory/classes/heap/objects:bytes"
)

func (a *assists) metric(p *traceload.Program, ev *traceload.Event) {
	switch p.String(ev.Text) {
	case metricGoal:
		a.goal = ev.Value
		if a.live > 0 {
			a.lives += a.live
			a.goals += a.goal
			a.known++
			a.live = 0
		}
	case metricHeap:
		if a.fresh {
			a.fresh, a.live = false, ev.Value
		}
	}
}

func (a *assists) judge(o *observer, p *traceload.Program) {
	if a.inMark {
		a.marked += p.Now.Sub(a.since)
		a.cycles++
	}
	var list []*assistSite
	var total time.Duration
	count := 0
	for _, s := range a.sites {
		total += s.total
		count += s.count
		list = append(list, s)
	}
	share := total.Seconds() / max(o.own.Seconds(), 1e-9)
	if total < assistAtLeast || share < assistShare || a.cycles < cyclesAtLeast {
		return
	}
	slices.SortFunc(list, func(x, y *assistSite) int {
		return cmp.Or(cmp.Compare(y.total, x.total), cmp.Compare(x.frame, y.frame))
	})
	var sum odds.Sum
	length := max(time.Duration(p.Now), time.Millisecond)
	if share >= 0.3 {
		sum.Note(1.5, "%.0f%% of the running time of the program's goroutines went into marking for the collector", 100*share)
	} else {
		sum.Note(0.5, "%.0f%% of the running time of the program's goroutines went into marking for the collector", 100*share)
	}
	marking := a.marked.Seconds() / length.Seconds()
	if marking >= 0.5 {
		sum.Note(1, "the collector marks during %.0f%% of the trace, in %d cycles: it hardly pauses", 100*marking, a.cycles)
	}
	ratio := 0.0
	if a.lives > 0 {
		ratio = max(1.001, float64(a.goals)/float64(a.lives)) // below 1 where a limit cannot be held
	}
	if ratio > 1 && ratio < tightGoal {
		sum.Note(1, "the heap may grow by only %.0f%% between two cycles: a memory limit or a low GOGC keeps it small", 100*(ratio-1))
	}
	if list[0].total > total/2 {
		sum.Note(0.3, "one line allocates most of it")
	}
	if list[0].testing {
		sum.Note(-4, "package testing runs it: it may be what the test is about")
	}
	o.pass.Report(a.finding(p, list, total, count, share, ratio, sum.Evidence, sum.Confidence(-1)))
}

func (a *assists) finding(p *traceload.Program, list []*assistSite, total time.Duration, count int, share, ratio float64, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	top := list[0]
	site := detectors.FrameOf(p.Frame(top.frame))
	goroutines := 0
	f := detectors.Finding{
		Cause: gcAssist, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence, Site: site,
		WrongIf: "memory is what this program must save, and it has the time",
	}
	for i, s := range list {
		goroutines = max(goroutines, s.goroutines.Len())
		if i > 0 && i < 8 {
			f.Explains = append(f.Explains, detectors.FrameOf(p.Frame(s.frame)))
		}
	}
	f.Impact = detectors.Impact{Goroutines: goroutines, Blocked: total, Occurrences: count}
	f.Title = fmt.Sprintf("allocating in %s makes goroutines do the collector's work for %.0f%% of their running time", detectors.Short(site.Func), 100*share)
	var b strings.Builder
	fmt.Fprintf(&b, "The program allocates faster than the collector marks, so whoever allocates has to help: %d times, %s in all", count, detectors.Duration(total))
	if len(list) > 1 {
		fmt.Fprintf(&b, ", %.0f%% of it at %s (%s in all)", 100*top.total.Seconds()/total.Seconds(), site.Where(), detectors.Count(len(list), "line"))
	} else {
		fmt.Fprintf(&b, ", at %s", site.Where())
	}
	fmt.Fprintf(&b, ". There were %d collections, and marking went on for %s of the trace's %s.", a.cycles, detectors.Duration(a.marked), detectors.Duration(time.Duration(p.Now)))
	alive := a.lives / int64(max(a.known, 1))
	switch {
	case ratio <= 1:
	case ratio < tightGoal:
		fmt.Fprintf(&b, " About %s is alive and the heap may grow to %.2f times that: a memory limit (GOMEMLIMIT) close to what is alive, or a low GOGC, forces a collection for little gain.",
			bytes(alive), ratio)
	default:
		fmt.Fprintf(&b, " About %s is alive, and the heap may grow to %.1f times that.", bytes(alive), ratio)
	}
	if ratio > 1 {
		room, part := roomyGOGC, 1-(ratio-1)/(roomyGOGC/100)
		if ratio < tightGoal {
			room, part = 100, 1-(ratio-1)
		}
		f.Estimate = &detectors.Estimate{Time: time.Duration(min(0.95, max(0, part)) * float64(total)), Text: fmt.Sprintf(
			"With room for %d%% beside what is alive (GOGC=%d, within GOMEMLIMIT) there would be %.0f%% fewer collections to help with.", room, room, 100*max(0, part))}
	}
	f.Detail = b.String()
	g := detectors.Group{Role: detectors.Victim, Count: top.goroutines.Len(), Goroutines: top.goroutines.IDs(), State: traceload.StateRunning.String(),
		Stack: detectors.StackOf(p, top.stack), CreatedBy: detectors.SiteOf(p, top.created), Entry: detectors.EntryOf(p, top.entry)}
	f.Groups = []detectors.Group{g}
	return f
}

// bytes words a size of memory.
func bytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d kB", n>>10)
}
