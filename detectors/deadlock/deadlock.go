package deadlock

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/internal/facts/waitgraph"
	"github.com/tracedoc/tracedoc/traceload"
)

//go:embed doc.go
var doc string

// maxGroups bounds the different stacks of those that wait behind a knot.
const maxGroups = 4

// Detector finds knots of goroutines.
var Detector = &detectors.Detector{
	Name:   "deadlock",
	Family: detectors.Locks,
	Doc:    doc,
	Causes: []detectors.Cause{
		{Name: "self-lock", Pattern: "lock-once", Cap: detectors.Critical},
		{Name: "lock-order", Pattern: "lock-ordering", Cap: detectors.Critical},
		{Name: "recursive-read", Pattern: "rlock-once", Cap: detectors.Critical},
		{Name: "lock-channel", Pattern: "unlock-before-send", Cap: detectors.Critical},
		{Name: "lock-wait", Pattern: "no-wait-under-lock", Cap: detectors.Critical},
		{Name: "unreleased", Pattern: "unlock-on-every-path", Cap: detectors.Critical},
	},
	New: func(p *detectors.Pass) detectors.Observer {
		return &observer{pass: p, graph: detectors.Need(p, waitgraph.Fact)}
	},
}

type observer struct {
	_ cpu.CacheLinePad

	pass  *detectors.Pass
	graph *waitgraph.Tracker
	_     cpu.CacheLinePad
}

// Observe implements detectors.Observer; the fact has seen everything.
func (o *observer) Observe(*traceload.Program, *traceload.Event) {}

// Finish implements detectors.Observer.
func (o *observer) Finish(p *traceload.Program) {
	for _, k := range o.graph.Knots {
		o.pass.Report(finding(p, k))
	}
}

func finding(p *traceload.Program, k *waitgraph.Knot) detectors.Finding {
	f := detectors.Finding{
		Cause: k.Cause, Effect: detectors.EffectStops, Confidence: k.Confidence, Evidence: k.Evidence, WrongIf: wrongIf[k.Cause],
		Picture: picture(k), Graph: graph(k),
	}
	involved := slices.Concat(k.Cycle, k.Behind) // one of them at least is there
	for _, n := range involved {
		f.Impact.Blocked += k.Until.Sub(n.G.Since)
		f.Explains = append(f.Explains, n.Site)
	}
	f.Impact.Goroutines, f.Impact.Occurrences = len(involved), 1
	f.Site = culprit(k).Site
	for _, n := range k.Cycle {
		f.Groups = append(f.Groups, group(p, n, detectors.Holder))
		f.Key = append(f.Key, n.Site.Func)
	}
	slices.Sort(f.Key) // who closed the cycle depends on timing
	behind := map[traceload.StackID]int{}
	for _, n := range k.Behind {
		f.Groups = addBehind(p, f.Groups, n, len(k.Cycle), behind)
	}
	for i, n := range k.Cycle {
		f.Timeline = append(f.Timeline, detectors.TimelineEvent{T: n.G.Since, Goroutine: int64(n.G.ID), Event: "blocked", Text: waitsFor(n, k.Locks[i])})
	}
	slices.SortStableFunc(f.Timeline, func(a, b detectors.TimelineEvent) int { return int(a.T - b.T) })
	if n := len(k.Behind); n > 0 {
		f.Timeline = append(f.Timeline, detectors.TimelineEvent{T: k.Behind[0].G.Since, Goroutine: int64(k.Behind[0].G.ID), Event: "blocked",
			Text: fmt.Sprintf("the first of %d that wait for %s", n, nameOf(k.Behind[0].For))})
	}
	end := detectors.TimelineEvent{T: k.Until, Goroutine: int64(involved[0].G.ID), Event: "waiting", Text: "nobody has moved when the trace ends"}
	if k.Untied {
		end.Event, end.Text = "expired", "one of them gives up after a time-out, and the knot comes undone"
		f.Effect = detectors.EffectDelays
	}
	f.Timeline = append(f.Timeline, end)
	if k.Cause == "unreleased" {
		unreleased(&f, k)
		return f
	}
	var who []string
	for i, n := range k.Cycle {
		who = append(who, sentence(n, k.Locks[i]))
	}
	f.Detail = strings.Join(who, "; ") + "."
	if k.Among > 0 {
		f.Detail += fmt.Sprintf(" They are an example: %d goroutines hold one of these locks and wait for another, and which of them wait in a circle is not known.", k.Among)
	}
	switch len(k.Behind) {
	case 0:
	case 1:
		f.Detail += " One more waits behind them."
	default:
		f.Detail += fmt.Sprintf(" %d more wait behind them.", len(k.Behind))
	}
	since := fmt.Sprintf(" So it has been since %s into the trace", detectors.Duration(time.Duration(k.Closed)))
	if k.Untied {
		since += ", until a time-out ended it after " + detectors.Duration(k.Until.Sub(k.Closed))
	}
	f.Detail += since + "."
	f.Title = title(k)
	return f
}

func title(k *waitgraph.Knot) string {
	first := k.Cycle[0]
	switch k.Cause {
	case "self-lock":
		return fmt.Sprintf("%s waits for %s, which its own goroutine holds", detectors.Short(first.Site.Func), nameOf(first.For))
	case "recursive-read":
		return fmt.Sprintf("%s reads %s again while a writer waits for it", detectors.Short(reader(k).Site.Func), nameOf(reader(k).For))
	case "lock-channel", "lock-wait":
		h := waiterOnOther(k)
		return fmt.Sprintf("%s holds %s and %s, and who would end that waits for the lock", detectors.Short(h.Site.Func), heldNames(h, k), h.What)
	}
	var names []string
	for _, l := range k.Locks {
		if name := nameOf(l); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if k.Among > 0 {
		return fmt.Sprintf("some of %d goroutines wait for each other in a circle over %s", k.Among, strings.Join(names, ", "))
	}
	return fmt.Sprintf("%d goroutines wait for each other in a circle over %s", len(k.Cycle), strings.Join(names, ", "))
}

// culprit is whose line is shown: who holds a lock and waits for something
// else, who reads twice, or who closed the circle.
func culprit(k *waitgraph.Knot) *waitgraph.Node {
	switch {
	case len(k.Cycle) == 0:
		return k.Behind[0]
	case k.Cause == "recursive-read":
		return reader(k)
	case k.Cause == "lock-channel" || k.Cause == "lock-wait":
		return waiterOnOther(k)
	}
	return k.Cycle[0]
}

// reader is the member of a recursive-read knot that reads twice.
func reader(k *waitgraph.Knot) *waitgraph.Node {
	for _, n := range k.Cycle {
		if n.Read {
			return n
		}
	}
	return k.Cycle[0]
}

// waiterOnOther is the member that holds a lock and waits for something else.
func waiterOnOther(k *waitgraph.Knot) *waitgraph.Node {
	for _, n := range k.Cycle {
		if n.For == nil {
			return n
		}
	}
	return k.Cycle[0]
}

// sentence says what one member of the knot holds and waits for.
func sentence(n *waitgraph.Node, l *waitgraph.Lock) string {
	text := fmt.Sprintf("G%d %s", n.G.ID, detectors.Short(outer(n)))
	if holds := holds(n); holds != "" {
		verb := " holds "
		if slices.ContainsFunc(n.Holds, func(h waitgraph.Hold) bool { return h.Proof < waitgraph.ByWindow }) {
			verb = " seems to hold "
		}
		text += verb + holds + " and"
	}
	return text + " " + waitsFor(n, l)
}

// outer is the function that took the lock that n holds; where n waits if that is not known.
func outer(n *waitgraph.Node) string {
	for _, h := range n.Holds {
		if h.Taken.Func != "" {
			return h.Taken.Func
		}
	}
	return n.Site.Func
}

func holds(n *waitgraph.Node) string { return strings.Join(holdings(n), ", ") }

func holdings(n *waitgraph.Node) []string {
	var list []string
	for _, h := range n.Holds {
		verb := ""
		if h.Read {
			verb = " for reading"
		}
		text := nameOf(h.Lock) + verb
		if h.Taken.Line != 0 && (h.Lock.Name != "" || h.Taken.Where() != h.Lock.Line.Where()) {
			text += " since " + h.Taken.Where()
		}
		list = append(list, text)
	}
	return list
}

func heldNames(n *waitgraph.Node, k *waitgraph.Knot) string {
	var list []string
	for _, h := range n.Holds {
		if slices.Contains(k.Locks, h.Lock) {
			list = append(list, nameOf(h.Lock))
		}
	}
	if len(list) == 0 {
		return "a lock"
	}
	return strings.Join(list, ", ")
}

func waitsFor(n *waitgraph.Node, l *waitgraph.Lock) string {
	if l == nil {
		return n.What + " at " + n.Site.Where()
	}
	verb := "waits for "
	if n.Read {
		verb = "waits to read "
	}
	if l.Name == "" && l.Line.Where() == n.Site.Where() {
		return verb + "the lock at " + n.Site.Where()
	}
	return verb + nameOf(l) + " at " + n.Site.Where()
}

// nameOf is the lock's name, or the line that shows which one it is.
func nameOf(l *waitgraph.Lock) string {
	switch {
	case l == nil:
		return "nothing"
	case l.Name != "":
		return l.Name
	}
	return "the lock taken at " + l.Line.Where()
}

// picture draws the circle, one goroutine a line.
func picture(k *waitgraph.Knot) []string {
	if len(k.Cycle) == 0 {
		return nil
	}
	var lines []string
	for i, n := range k.Cycle {
		next := k.Cycle[(i+1)%len(k.Cycle)]
		arrow := fmt.Sprintf("  └▶ %s, for which it depends on G%d", waitsFor(n, k.Locks[i]), next.G.ID)
		head := fmt.Sprintf("G%d %s", n.G.ID, detectors.Short(n.Site.Func))
		if h := holds(n); h != "" {
			head += "  [holds " + h + "]"
		}
		lines = append(lines, head, arrow)
	}
	return lines
}

// graph is the circle, then those behind it. Of these, who waits at one line
// for one lock makes one node.
func graph(k *waitgraph.Knot) []detectors.WaitNode {
	var nodes []detectors.WaitNode
	for i, n := range k.Cycle {
		nodes = append(nodes, detectors.WaitNode{
			Goroutine: int64(n.G.ID), Count: 1, Site: n.Site,
			Holds: holdings(n), Waits: waitsFor(n, k.Locks[i]), For: (i + 1) % len(k.Cycle),
		})
	}
	for _, n := range k.Behind {
		node := detectors.WaitNode{Goroutine: int64(n.G.ID), Count: 1, Site: n.Site, Waits: waitsFor(n, n.For), For: holder(k, n.For)}
		at := slices.IndexFunc(nodes[len(k.Cycle):], func(m detectors.WaitNode) bool {
			return m.Site == node.Site && m.Waits == node.Waits && m.For == node.For
		})
		if at >= 0 {
			nodes[len(k.Cycle)+at].Count++
			continue
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// holder is the index of the member of the circle that holds a lock; -1 if none does.
func holder(k *waitgraph.Knot, l *waitgraph.Lock) int {
	return slices.IndexFunc(k.Cycle, func(n *waitgraph.Node) bool {
		return slices.ContainsFunc(n.Holds, func(h waitgraph.Hold) bool { return h.Lock == l })
	})
}

func group(p *traceload.Program, n *waitgraph.Node, role detectors.Role) detectors.Group {
	if len(n.Holds) == 0 {
		role = detectors.Waiter
	}
	g := n.G
	return detectors.GroupOf(p, role, &g)
}

// addBehind adds one that waits behind the knot to the group of its stack, of which there are
// some from first on. Of stacks that it has seen it keeps which group is theirs, or -1: there
// may be very many goroutines.
func addBehind(p *traceload.Program, groups []detectors.Group, n *waitgraph.Node, first int, seen map[traceload.StackID]int) []detectors.Group {
	at, ok := seen[n.G.Stack]
	if !ok {
		g := n.G
		fresh := detectors.GroupOf(p, detectors.Waiter, &g)
		at = slices.IndexFunc(groups[first:], func(g detectors.Group) bool { return slices.Equal(g.Stack, fresh.Stack) })
		switch {
		case at >= 0:
			at += first
		case len(groups) < first+maxGroups:
			seen[n.G.Stack] = len(groups)
			return append(groups, fresh)
		}
		seen[n.G.Stack] = at
	}
	if at >= 0 {
		groups[at].Add(n.G.ID)
	}
	return groups
}

func unreleased(f *detectors.Finding, k *waitgraph.Knot) {
	l := k.Locks[0]
	first := k.Behind[0]
	f.Site = worstPlace(k.Behind)
	if f.Key = []string{l.Name}; l.Name == "" {
		f.Key = []string{l.Line.Func}
	}
	f.Title = fmt.Sprintf("%s waits for %s, which nobody alive holds", detectors.Count(len(k.Behind), "goroutine"), nameOf(l))
	if len(k.Behind) > 1 {
		f.Title = strings.Replace(f.Title, " waits ", " wait ", 1)
	}
	f.Detail = fmt.Sprintf("%s for %s; the first, G%d, has done so since %s into the trace at %s. Whoever took the lock has gone without unlocking it: by a return, a panic, or a turn of a loop.",
		strings.Replace(f.Title, ", which nobody alive holds", "", 1)[:strings.Index(f.Title, " for ")], nameOf(l), first.G.ID, detectors.Duration(time.Duration(first.G.Since)), first.Site.Where())
}

// worstPlace is the line where most of them wait; of an RWMutex that readers
// have left locked, where the first writer does: new readers wait for it alone.
func worstPlace(nodes []*waitgraph.Node) detectors.Frame {
	for _, n := range nodes {
		if n.Wait == traceload.WaitRWMutexW {
			return n.Site
		}
	}
	count := map[detectors.Frame]int{}
	best := nodes[0].Site
	for _, n := range nodes {
		if count[n.Site]++; count[n.Site] > count[best] {
			best = n.Site
		}
	}
	return best
}

var wrongIf = map[string]string{
	"self-lock":      "the two locks of that name belong to two different objects",
	"lock-order":     "the locks of these names are not the same ones, and each of the goroutines waits for somebody who is merely slow",
	"recursive-read": "the two read locks belong to two different objects",
	"lock-channel":   "somebody else, who does not need the lock, serves that channel after the trace ended",
	"lock-wait":      "somebody else, who does not need the lock, ends that wait after the trace ended",
	"unreleased":     "a goroutine that was running when the trace ended holds the lock and is about to release it",
}
