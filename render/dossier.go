package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
)

// Dossier writes all that a report knows about its finding of that index, for a
// reader at a terminal.
func Dossier(w io.Writer, r *detectors.Report, finding int, opt Options) error {
	r = clean(r)
	p := newPage(opt)
	p.limits = unlimited()
	f := &r.Findings[finding]
	p.finding(r, f, map[string]int{})
	if f.Scene != nil {
		p.scene(f.Scene)
	}
	p.seen(r, f)
	p.opening(r, f)
	p.line()
	p.line("  fingerprint ", f.Fingerprint)
	_, err := io.WriteString(w, p.String())
	return err
}

// seen writes how a finding stood in each of several traces.
func (p *page) seen(r *detectors.Report, f *detectors.Finding) {
	if len(f.Seen) < 2 {
		return
	}
	p.heading("Seen in")
	for _, s := range f.Seen {
		if s.Trace < 0 || s.Trace >= len(r.Traces) {
			continue
		}
		text := fmt.Sprintf("%s: %s, %s sure", r.Traces[s.Trace].Source, s.Severity, percent(s.Confidence))
		if parts := impactParts(s.Impact, goroutineSeconds); len(parts) > 0 {
			text += ", " + strings.Join(parts, ", ")
		}
		p.prose("    ", text)
	}
}

// opening writes how to see the same in go tool trace.
func (p *page) opening(r *detectors.Report, f *detectors.Finding) {
	from, to := extent(r, f)
	open := openingOf(r, f, from, to)
	if open == nil {
		return
	}
	p.heading("In go tool trace")
	// Broken into lines they would not work.
	p.line("    ", open.Command)
	p.line("    ", open.URL)
	if open.Note != "" {
		p.prose("    ", open.Note)
	}
}

// The marks of a scene in text: what a goroutine did for most of a column.
var sceneMarks = []struct {
	state string
	mark  string
	doc   string
}{
	{detectors.StateRunning, "█", "runs"},
	{detectors.StateRunnable, "▒", "could run"},
	{detectors.StateWaiting, "·", "waits"},
	{detectors.StateSyscall, "s", "is in a system call"},
}

// noMark is before a goroutine's birth and after its end.
const noMark = " "

// scene draws what the goroutines of a finding did, a line each, then who woke
// whom, and what is left out.
func (p *page) scene(s *detectors.Scene) {
	length := s.To.Sub(s.From)
	if length <= 0 {
		return
	}
	names, widest := make([]string, len(s.Tracks)), 0
	for i := range s.Tracks {
		names[i] = strings.TrimSpace(fmt.Sprintf("G%d %s", s.Tracks[i].Goroutine, s.Tracks[i].Role))
		widest = max(widest, columns(names[i]))
	}
	widest = min(widest, p.width/3)
	room := min(p.width, maxProse) - widest - 6
	p.heading(fmt.Sprintf("From %s on, for %s", moment(int64(s.From)), detectors.Duration(length)))
	for i := range s.Tracks {
		p.line("    ", pad(fit(names[i], widest), widest), "  ", strings.TrimRight(row(s, &s.Tracks[i], room), " "))
	}
	var key []string
	for _, m := range sceneMarks {
		key = append(key, m.mark+" "+m.doc)
	}
	p.prose("    ", strings.Join(key, ", ")+fmt.Sprintf("; a column is %s", detectors.Duration(length/time.Duration(room))))
	p.waits(s)
	p.wakes(s, names)
	p.curve(s)
	var left []string
	for _, l := range []struct {
		n     int
		thing string
	}{{s.LeftOut.Goroutines, "goroutine"}, {s.LeftOut.Spans, "short span"}, {s.LeftOut.Wakes, "wake-up"}} {
		if l.n > 0 {
			left = append(left, count(int64(l.n), l.thing))
		}
	}
	if len(left) > 0 {
		p.prose("    ", "Not shown: "+strings.Join(left, ", ")+".")
	}
}

// row draws one goroutine in so many columns.
func row(s *detectors.Scene, k *detectors.Track, columns int) string {
	length := int64(s.To - s.From)
	var b strings.Builder
	next := 0 // span
	for c := range columns {
		from := int64(s.From) + length*int64(c)/int64(columns)
		to := int64(s.From) + length*int64(c+1)/int64(columns)
		for next < len(k.Spans) && int64(k.Spans[next].To) <= from {
			next++
		}
		most, mark := int64(0), noMark
		for _, sp := range k.Spans[next:] {
			if int64(sp.From) >= to {
				break
			}
			if d := min(int64(sp.To), to) - max(int64(sp.From), from); d > most {
				most, mark = d, markOf(sp.State)
			}
		}
		b.WriteString(mark)
	}
	return b.String()
}

func markOf(state string) string {
	for _, m := range sceneMarks {
		if m.state == state {
			return m.mark
		}
	}
	return "?"
}

// waits writes the longest wait of each goroutine, and where it was.
func (p *page) waits(s *detectors.Scene) {
	p.line()
	for i := range s.Tracks {
		k := &s.Tracks[i]
		longest := -1
		for j, sp := range k.Spans {
			if sp.State == detectors.StateWaiting && (longest < 0 || sp.To-sp.From > k.Spans[longest].To-k.Spans[longest].From) {
				longest = j
			}
		}
		if longest < 0 {
			continue
		}
		sp := k.Spans[longest]
		from, to := sp.From, sp.To
		if longest == 0 {
			from = min(from, k.Since)
		}
		if longest == len(k.Spans)-1 {
			to = max(to, k.Until)
		}
		text := fmt.Sprintf("waits for %s from %s on", detectors.Duration(to.Sub(from)), moment(int64(from)))
		if sp.Reason != "" {
			text += " (" + sp.Reason + ")"
		}
		if sp.Frame >= 0 && sp.Frame < len(s.Frames) {
			text += " in " + shortFunc(s.Frames[sp.Frame].Func) + " at " + s.Frames[sp.Frame].Where()
		}
		p.prose(fmt.Sprintf("    G%d  ", k.Goroutine), text)
	}
}

func (p *page) wakes(s *detectors.Scene, names []string) {
	if len(s.Wakes) == 0 {
		return
	}
	p.line()
	for _, w := range s.Wakes {
		if w.Of < 0 || w.Of >= len(names) || w.By >= len(names) {
			continue // not a report of ours
		}
		by, verb := "the "+w.What, "wakes" // the network, the runtime
		switch {
		case w.By >= 0:
			by = names[w.By]
		case w.What == "woken", w.What == "created":
			by = "another goroutine"
		case w.What == "timer":
			by = "a timer"
		}
		if w.What == "created" {
			verb = "creates"
		}
		p.prose("    "+moment(int64(w.T))+"  ", by+" "+verb+" "+names[w.Of])
	}
}

// curve writes the number of goroutines over the whole trace, in some steps.
func (p *page) curve(s *detectors.Scene) {
	if len(s.Curve) == 0 {
		return
	}
	const steps = 8
	var points []string
	for i := range min(steps, len(s.Curve)) {
		c := s.Curve[i*(len(s.Curve)-1)/max(1, min(steps, len(s.Curve))-1)]
		points = append(points, fmt.Sprintf("%s at %s", grouped(int64(c.N)), detectors.Duration(time.Duration(c.T))))
	}
	p.line()
	p.prose("    goroutines alive: ", strings.Join(points, ", "))
}
