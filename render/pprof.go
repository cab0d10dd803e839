package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/tracedoc/tracedoc/detectors"
)

// elsewhere stands for the stacks that a report does not list one by one.
const elsewhere = "(stacks that are not listed)"

// Pprof writes the time that goroutines did not run, by stack, as a profile for
// go tool pprof. Its labels tell the state, the reason (of what is no wait, the
// state again), the detectors whose findings wait there, and the trace if there
// are several.
func Pprof(w io.Writer, r *detectors.Report, _ Options) error {
	r = clean(r)
	p := &profile.Profile{
		SampleType:        []*profile.ValueType{{Type: "count", Unit: "count"}, {Type: "lost", Unit: "nanoseconds"}},
		DefaultSampleType: "lost",
		Comments:          []string{strings.TrimSpace(r.Tool.Name + " " + r.Tool.Version), "Time that goroutines did not run. Try -tagroot=state,reason, -tagfocus=detector=… and -tagshow=detector."},
	}
	locations := locations{profile: p, functions: map[[2]string]*profile.Function{}, lines: map[detectors.Frame]*profile.Location{}}
	for i := range r.Traces {
		t := &r.Traces[i]
		p.DurationNanos += int64(t.Duration)
		if t.StartTime != nil && (p.TimeNanos == 0 || t.StartTime.UnixNano() < p.TimeNanos) {
			p.TimeNanos = t.StartTime.UnixNano()
		}
		found := stacksOf(r, i)
		for _, l := range t.Lost {
			s := &profile.Sample{
				Value: []int64{int64(l.Count), int64(l.Time)},
				Label: map[string][]string{"state": {l.State}, "reason": {cmp.Or(l.Reason, l.State)}},
			}
			for _, f := range l.Stack {
				s.Location = append(s.Location, locations.of(f))
			}
			if len(l.Stack) == 0 {
				s.Location = append(s.Location, locations.of(detectors.Frame{Func: elsewhere}))
			}
			if list := found[stackKey(l.Stack)]; len(list) > 0 {
				s.Label["detector"] = list
			}
			if len(r.Traces) > 1 {
				s.Label["trace"] = []string{t.Source}
			}
			p.Sample = append(p.Sample, s)
		}
	}
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("the profile is not valid: %w; this is a bug of tracedoc", err)
	}
	return p.Write(w)
}

// stacksOf tells which detectors have something to say about which stacks of a trace.
func stacksOf(r *detectors.Report, trace int) map[string][]string {
	found := map[string][]string{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Trace != trace {
			continue
		}
		for _, g := range f.Groups {
			if key := stackKey(g.Stack); len(g.Stack) > 0 && !slices.Contains(found[key], f.Detector) {
				found[key] = append(found[key], f.Detector)
			}
		}
	}
	return found
}

func stackKey(stack []detectors.Frame) string {
	var b strings.Builder
	for _, f := range stack {
		fmt.Fprintf(&b, "%s\n%s:%d\n", f.Func, f.File, f.Line)
	}
	return b.String()
}

// locations makes the functions and lines of a profile, each once.
type locations struct {
	profile   *profile.Profile
	functions map[[2]string]*profile.Function // by name and file
	lines     map[detectors.Frame]*profile.Location
}

func (l *locations) of(f detectors.Frame) *profile.Location {
	at := l.lines[f]
	if at == nil {
		fn := l.functions[[2]string{f.Func, f.File}]
		if fn == nil {
			fn = &profile.Function{ID: uint64(len(l.profile.Function) + 1), Name: f.Func, SystemName: f.Func, Filename: f.File}
			l.functions[[2]string{f.Func, f.File}] = fn
			l.profile.Function = append(l.profile.Function, fn)
		}
		at = &profile.Location{ID: uint64(len(l.profile.Location) + 1), Line: []profile.Line{{Function: fn, Line: int64(f.Line)}}}
		l.lines[f] = at
		l.profile.Location = append(l.profile.Location, at)
	}
	return at
}
