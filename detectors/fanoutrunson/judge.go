package fanoutrunson

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/odds"
	"github.com/tracedoc/tracedoc/traceload"
)

// When it is worth a finding. Fixtures: fan-out-runs-on-*; their mended twins,
// healthy-fanout and healthy-degraded must stay silent.
const (
	failedAtLeast = 3                     // rounds whose results were not used
	usedAtLeast   = 5                     // rounds whose results were
	alwaysShare   = 0.9                   // of the rounds with all results, in which the parent does a thing
	neverShare    = 0.1                   // of the others
	earlyShare    = 0.8                   // of the others, that have a child which ended early
	usedEarly     = 0.25                  // of the rounds with all results, that have one
	lateFrom      = time.Millisecond      // that a parent waits on after the first failure
	lostAtLeast   = 20 * time.Millisecond // in all
	reportable    = 0.3                   // confidence
)

// verdict is what is known of one fan-out.
type verdict struct {
	fan       *fan
	use       traceload.FrameID // what the parent does with the results
	used      int               // rounds after which it does
	failed    int               // rounds after which it does not, and that have an early child
	discarded int               // rounds after which it does not
	byPath    int               // failed rounds whose early child took a way of its own
	lost      time.Duration     // that parents waited on after the first failure
	cpu       time.Duration     // that siblings ran after it, about
	siblings  int               // that were at work then
	example   *round
	failure   kid
	failSite  traceload.FrameID
}

func (o *observer) judge(p *traceload.Program) {
	var list []*verdict
	for _, f := range o.fans {
		if v := f.study(); v != nil {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b *verdict) int {
		return cmp.Or(cmp.Compare(b.lost, a.lost), cmp.Compare(a.fan.key.starts, b.fan.key.starts), cmp.Compare(a.fan.key.entry, b.fan.key.entry))
	})
	for _, v := range list {
		sum := v.weigh(o.pass.Source(), p)
		if c := sum.Confidence(-1.2); c >= reportable {
			o.pass.Report(v.finding(p, sum.Evidence, c))
		}
	}
}

// study tells the rounds whose results were used from those whose were not;
// nil if there is no such difference, or it does not go with a child that ended early.
func (f *fan) study() *verdict {
	if len(f.rounds) < failedAtLeast+usedAtLeast {
		return nil
	}
	common, most := f.usualLast()
	early := make([]int, len(f.rounds)) // index+1 of the early child
	nearly := 0
	var shortest []time.Duration
	for i := range f.rounds {
		shortest = append(shortest, f.rounds[i].shortest())
	}
	sorted := slices.Clone(shortest)
	slices.Sort(sorted)
	typical := sorted[len(sorted)*3/4] // of rounds in which nobody fails
	for i := range f.rounds {
		early[i] = f.rounds[i].early(common, most, typical)
		if early[i] > 0 {
			nearly++
		}
	}
	if nearly < failedAtLeast || len(f.rounds)-nearly < usedAtLeast {
		return nil
	}
	// What does the parent do after rounds without an early child, and not after the others?
	plain, others := map[traceload.FrameID]int{}, map[traceload.FrameID]int{}
	for i := range f.rounds {
		r := &f.rounds[i]
		for _, s := range r.sites[:r.nsites] {
			if early[i] == 0 {
				plain[s]++
			} else {
				others[s]++
			}
		}
	}
	var use traceload.FrameID
	for s, n := range plain {
		if float64(n) >= alwaysShare*float64(len(f.rounds)-nearly) && float64(others[s]) <= (neverShare+usedEarly)*float64(nearly) && (use == 0 || s < use) {
			use = s
		}
	}
	if use == 0 {
		return nil
	}
	v := &verdict{fan: f, use: use}
	usedButEarly := 0
	for i := range f.rounds {
		r := &f.rounds[i]
		if slices.Contains(r.sites[:r.nsites], use) {
			v.used++
			if early[i] > 0 {
				usedButEarly++
			}
			continue
		}
		v.discarded++
		if early[i] == 0 {
			continue
		}
		v.failed++
		first := r.kids[early[i]-1]
		if most && first.last != common {
			v.byPath++
			v.failSite = first.last
		} else if v.failSite == 0 {
			v.failSite = first.last
		}
		late := r.joined.Sub(first.end)
		if late < lateFrom {
			continue
		}
		v.lost += late
		for _, k := range r.kids {
			if k.end > first.end {
				v.siblings++
				v.cpu += time.Duration(float64(k.cpu) * k.end.Sub(first.end).Seconds() / max(k.end.Sub(k.born).Seconds(), 1e-9))
			}
		}
		if v.example == nil || late > v.example.joined.Sub(v.failure.end) {
			v.example, v.failure = r, first
		}
	}
	if v.failed < failedAtLeast || v.used < usedAtLeast || v.lost < lostAtLeast || v.example == nil ||
		float64(v.failed) < earlyShare*float64(v.discarded) || float64(usedButEarly) > usedEarly*float64(v.used) {
		return nil
	}
	if f.more > 0 { // what was not kept is taken to be alike
		scale := float64(len(f.rounds)+f.more) / float64(len(f.rounds))
		v.lost, v.cpu = time.Duration(scale*float64(v.lost)), time.Duration(scale*float64(v.cpu))
	}
	return v
}

// usualLast is where most children wait last before they end; false if there is no such place.
func (f *fan) usualLast() (traceload.FrameID, bool) {
	var best tally
	all := 0
	for _, t := range f.lasts {
		all += t.n
		if t.n > best.n || t.n == best.n && t.site < best.site {
			best = t
		}
	}
	return best.site, best.site != 0 && 2*best.n > all
}

func (r *round) shortest() time.Duration {
	least := r.kids[0].end.Sub(r.kids[0].born)
	for _, k := range r.kids[1:] {
		least = min(least, k.end.Sub(k.born))
	}
	return least
}

// early returns the index+1 of the child that ended before its time: on a way
// of its own, or in half of the time that even the quickest takes; 0 if none.
func (r *round) early(common traceload.FrameID, most bool, typical time.Duration) int {
	best := 0
	for i, k := range r.kids {
		if r.joined.Sub(k.end) < lateFrom || !(most && k.last != common || 2*k.end.Sub(k.born) < typical) {
			continue
		}
		if best == 0 || k.end < r.kids[best-1].end {
			best = i + 1
		}
	}
	return best
}

var (
	returnsError = regexp.MustCompile(`\breturn\b.*(\berr\b|\bErr|fmt\.Errorf|errors\.)|\berrs?\s*(<-|=)`)
	collects     = regexp.MustCompile(`errors\.Join|multierr|append\(\w*[eE]rr`)
)

// sourceLines is how far around a line the source is searched for errors.
const sourceLines = 6

func (v *verdict) weigh(source detectors.Source, p *traceload.Program) odds.Sum {
	var sum odds.Sum
	use := detectors.FrameOf(p.Frame(v.use))
	sum.Note(1, "after %d rounds the parent goes on to %s, and not after %d others: in %d of these one child ended early", v.used, use.Where(), v.discarded, v.failed)
	if v.byPath*2 > v.failed {
		sum.Note(0.5, "the early child left out what the others did: it waited last at another line")
	}
	errgroup := false
	for _, f := range p.Frames(v.fan.wait) {
		errgroup = errgroup || strings.HasPrefix(f.Func, "golang.org/x/sync/errgroup.")
	}
	if errgroup {
		sum.Note(1.2, "they run in an errgroup, whose Wait returns the first error")
	}
	known := false // the source is at hand: there may be some, and not of this program
	if source != nil {
		fail := detectors.FrameOf(p.Frame(v.failSite))
		if text := around(source, fail); returnsError.MatchString(text) {
			sum.Note(1, "after %s the source returns an error", fail.Where())
		}
		text := around(source, detectors.SiteOf(p, v.fan.wait)) + around(source, detectors.SiteOf(p, v.fan.start))
		if known = text != ""; collects.MatchString(text) {
			sum.Note(-3, "the source collects the errors of all")
		}
	}
	if !known && !errgroup {
		sum.Note(-0.8, "whether the errors of all are wanted cannot be told without the source")
	}
	if v.failed >= 10 {
		sum.Note(0.3, "it happened %d times", v.failed)
	}
	if v.fan.testing {
		sum.Note(-4, "package testing runs it: it may be what the test is about")
	}
	return sum
}

// around returns the source around a line, "" if it is not at hand.
func around(source detectors.Source, f detectors.Frame) string {
	lines, _ := source.Lines(f.File, f.Line, sourceLines)
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

func (v *verdict) finding(p *traceload.Program, evidence []detectors.Evidence, confidence float64) detectors.Finding {
	f := v.fan
	site, wait, use := detectors.SiteOf(p, f.start), detectors.SiteOf(p, f.wait), detectors.FrameOf(p.Frame(v.use))
	out := detectors.Finding{
		Cause: firstError, Effect: detectors.EffectDelays, Confidence: confidence, Evidence: evidence,
		Impact: detectors.Impact{Goroutines: max(1, f.parents.Len()), Blocked: v.lost, Occurrences: v.failed},
		Site:   site, Explains: []detectors.Frame{wait},
		WrongIf: "all goroutines are to finish in any case, since what they do counts or all their errors are wanted",
	}
	out.Title = fmt.Sprintf("%s waits for all goroutines after one has failed, and then drops what they did", detectors.Short(site.Func))
	var b strings.Builder
	fmt.Fprintf(&b, "At %s goroutines are started side by side, and at %s they are waited for. In %d of %d rounds that were looked at one of them ended early",
		site.Where(), wait.Where(), v.failed, len(f.rounds))
	if fail := detectors.FrameOf(p.Frame(v.failSite)); fail.Func != "" {
		fmt.Fprintf(&b, " (the last it waited for was at %s)", fail.Where())
	}
	fmt.Fprintf(&b, ", and afterwards the results were not used: it did not go on to %s, as it does otherwise. That the early one has failed is a conclusion from this; a trace has no values. Meanwhile its siblings ran on, %d in all, and the wait for them took another %s together.",
		use.Where(), v.siblings, detectors.Duration(v.lost))
	out.Detail = b.String()
	out.Estimate = &detectors.Estimate{Time: v.lost, CPU: v.cpu, Text: "If the first failure cancelled the siblings, and they heeded it at once, nobody would wait for them; their processor time is reckoned from the part of their lives that came after it."}
	worker := detectors.Group{Role: detectors.Worker, Count: v.siblings, State: traceload.StateEnded.String(), Stack: detectors.StackOf(p, f.entry), CreatedBy: site, Entry: detectors.EntryOf(p, f.entry)}
	for _, k := range v.example.kids {
		if k.end > v.failure.end && len(worker.Goroutines) < detectors.MaxGroupIDs {
			worker.Goroutines = append(worker.Goroutines, int64(k.id))
		}
	}
	parent := detectors.Group{Role: detectors.Waiter, Count: max(1, f.parents.Len()), State: traceload.StateWaiting.String(),
		Goroutines: f.parents.IDs(), Reason: "sync", Stack: detectors.StackOf(p, f.wait)}
	parent.Entry = p.Frame(f.runs).Func
	out.Groups = []detectors.Group{parent, worker}
	out.Timeline = []detectors.TimelineEvent{
		{T: v.failure.born, Goroutine: int64(v.failure.id), Event: "created", Text: "starts beside its siblings"},
		{T: v.failure.end, Goroutine: int64(v.failure.id), Event: "ended", Text: "ends before its time"},
		{T: v.example.joined, Goroutine: int64(v.example.parent), Event: "woken", Text: fmt.Sprintf("goes on, %s later, when the last one is done", detectors.Duration(v.example.joined.Sub(v.failure.end)))},
	}
	return out
}
