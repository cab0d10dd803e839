package detectors_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/traceload"
)

const doc = `// Package x finds things. It is a test.
//
// # What it looks for
//
// a
//
// # How it decides
//
// b
//
// # What it cannot see
//
// c
//
// # Repair
//
// d
package x
`

// funcs is an observer made of functions.
type funcs struct {
	observe func(*traceload.Program, *traceload.Event)
	finish  func(*traceload.Program)
}

func (f funcs) Observe(p *traceload.Program, ev *traceload.Event) {
	if f.observe != nil {
		f.observe(p, ev)
	}
}

func (f funcs) Finish(p *traceload.Program) {
	if f.finish != nil {
		f.finish(p)
	}
}

func detector(name string, newObserver func(*detectors.Pass) detectors.Observer) *detectors.Detector {
	return &detectors.Detector{
		Name: name, Family: detectors.Locks, Doc: doc, Watches: traceload.KindSet(traceload.KindBlock, traceload.KindCreate),
		Causes: []detectors.Cause{{Name: "c", Pattern: "shard-lock", Cap: detectors.High}}, New: newObserver,
	}
}

// traced returns a trace of what do does.
func traced(t *testing.T, do func()) []byte {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("the test binary is being traced itself")
	}
	var buf bytes.Buffer
	if err := trace.Start(&buf); err != nil {
		t.Fatal(err)
	}
	do()
	trace.Stop()
	return buf.Bytes()
}

// record traces a little work of this test.
func record(t *testing.T) []byte {
	t.Helper()
	return traced(t, func() { startAndWait(10) })
}

func startAndWait(n int) {
	var wg sync.WaitGroup
	for range n {
		wg.Add(1)
		go func() { defer wg.Done() }()
	}
	wg.Wait()
}

// A coroutine that waits has no stack in any format, and says nothing of the trace's age.
func TestCoroutinesAreNoOldFormat(t *testing.T) {
	next, stop := iter.Pull(func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	})
	defer stop()
	data := traced(t, func() { next() })
	for _, text := range analyze(t, data).Traces[0].CannotShow {
		if strings.Contains(text, "before Go 1.23") {
			t.Errorf("%q is said of a trace of this Go version", text)
		}
	}
}

func analyze(t *testing.T, data []byte, list ...*detectors.Detector) *detectors.Report {
	t.Helper()
	return analyzeWith(t, data, detectors.Config{}, list...)
}

func analyzeWith(t *testing.T, data []byte, cfg detectors.Config, list ...*detectors.Detector) *detectors.Report {
	t.Helper()
	in, err := traceload.Open(context.Background(), "-", traceload.OpenOptions{Stdin: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	res, err := detectors.Analyze(in, list, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return detectors.NewReport([]*detectors.Result{res}, detectors.Options{})
}

func reports(p *detectors.Pass) detectors.Observer {
	return funcs{finish: func(*traceload.Program) {
		p.Report(detectors.Finding{Cause: "c", Confidence: 1, Title: "found"})
	}}
}

func TestPanicsAreContained(t *testing.T) {
	data := record(t)
	broken := &detectors.Fact[funcs]{Name: "broken", Watches: traceload.KindSet(traceload.KindCreate), New: func(*detectors.Pass) funcs {
		return funcs{observe: func(*traceload.Program, *traceload.Event) { panic("broken\nfact") }}
	}}
	tests := []struct {
		name string
		new  func(*detectors.Pass) detectors.Observer
		want string
	}{
		{"in-observe", func(*detectors.Pass) detectors.Observer {
			return funcs{observe: func(*traceload.Program, *traceload.Event) { panic("no") }}
		}, "internal error in detector in-observe: no"},
		{"in-finish", func(*detectors.Pass) detectors.Observer {
			return funcs{finish: func(*traceload.Program) { panic("no") }}
		}, "internal error in detector in-finish: no"},
		{"in-new", func(*detectors.Pass) detectors.Observer { panic("no") }, "internal error in detector in-new: no"},
		{"undeclared-cause", func(p *detectors.Pass) detectors.Observer {
			return funcs{finish: func(*traceload.Program) { p.Report(detectors.Finding{Cause: "other"}) }}
		}, "internal error in detector undeclared-cause"},
		{"on-a-broken-fact", func(p *detectors.Pass) detectors.Observer {
			detectors.Need(p, broken)
			return reports(p)
		}, "on-a-broken-fact could not judge this trace: it builds on broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rep := analyze(t, data, detector(tt.name, tt.new), detector("sound", reports))
			warnings := strings.Join(rep.Traces[0].Warnings, "; ")
			if !strings.Contains(warnings, tt.want) {
				t.Errorf("warnings %q, want one with %q", warnings, tt.want)
			}
			if !rep.Traces[0].Complete {
				t.Error("a panic of ours must not read as a damaged trace")
			}
			if len(rep.Findings) != 1 || rep.Findings[0].Detector != "sound" {
				t.Errorf("the other detector must go on; findings: %v", rep.Findings)
			}
		})
	}
}

// TestPanicsLoseNoEvent: the event at which one panics is told to those after it too, once.
func TestPanicsLoseNoEvent(t *testing.T) {
	var seen [3][]traceload.Time // by who is told before, between and after two that panic
	watches := func(i int) *detectors.Detector {
		return detector([]string{"before", "between", "after"}[i], func(*detectors.Pass) detectors.Observer {
			return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) { seen[i] = append(seen[i], ev.Time) }}
		})
	}
	broken := func(name string) *detectors.Detector {
		return detector(name, func(*detectors.Pass) detectors.Observer {
			return funcs{observe: func(*traceload.Program, *traceload.Event) { panic("no") }}
		})
	}
	oneLane := detectors.Config{Limits: traceload.Limits{Jobs: 1}}
	analyzeWith(t, record(t), oneLane, watches(0), broken("one"), watches(1), broken("two"), watches(2))
	if len(seen[0]) < 10 || !slices.Equal(seen[0], seen[1]) || !slices.Equal(seen[0], seen[2]) {
		t.Errorf("told were %d, %d and %d events", len(seen[0]), len(seen[1]), len(seen[2]))
	}
}

func TestFactsAreFedFirstAndOnce(t *testing.T) {
	seen := 0
	count := &detectors.Fact[funcs]{Name: "count", Watches: traceload.KindSet(traceload.KindCreate), New: func(*detectors.Pass) funcs {
		return funcs{observe: func(*traceload.Program, *traceload.Event) { seen++ }}
	}}
	newRoom := func(p *detectors.Pass) detectors.Observer {
		detectors.Need(p, count)
		mine := 0
		return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
			if ev.Kind != traceload.KindCreate {
				return
			}
			if mine++; seen != mine {
				t.Errorf("event %d: the fact has seen %d", mine, seen)
			}
		}}
	}
	analyze(t, record(t), detector("one", newRoom), detector("two", newRoom))
	if seen < 10 {
		t.Errorf("the fact saw %d births, want at least 10", seen)
	}
}

// TestWaits: who watches waits of some kinds sees those, and who watches more later on sees that
// from the next event on.
func TestWaits(t *testing.T) {
	type seen struct{ begun, ended, groups, groupsEnded, late int }
	var all, some, later seen
	groups := traceload.WaitSet(traceload.WaitWaitGroup)
	see := func(s *seen) func(*detectors.Pass) detectors.Observer {
		return func(*detectors.Pass) detectors.Observer {
			return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
				switch ofGroup := ev.Wait == traceload.WaitWaitGroup; ev.Kind {
				case traceload.KindBlock:
					s.begun++
					if ofGroup {
						s.groups++
					}
					if s.ended > 0 {
						s.late++
					}
				case traceload.KindUnblock:
					s.ended++
					if ofGroup {
						s.groupsEnded++
					}
				}
			}}
		}
	}
	both := traceload.KindSet(traceload.KindBlock, traceload.KindUnblock)
	everything, few := detector("everything", see(&all)), detector("few", see(&some))
	everything.Watches, few.Watches = both, both
	few.Begins, few.Ends = groups, ^groups
	latecomer := detector("latecomer", func(p *detectors.Pass) detectors.Observer {
		o := see(&later)(p).(funcs)
		return funcs{observe: func(prog *traceload.Program, ev *traceload.Event) {
			o.observe(prog, ev)
			p.Watch(both)
		}}
	})
	latecomer.Watches = traceload.KindSet(traceload.KindUnblock)
	analyze(t, traced(t, func() {
		for range 5 {
			startAndWait(10)
			time.Sleep(time.Millisecond)
		}
	}), everything, few, latecomer)
	if all.groups == 0 || all.begun == all.groups || all.late == 0 {
		t.Fatalf("the trace does not show what is to be tested: %+v", all)
	}
	some.late = 0 // when is not asked here
	if want := (seen{begun: all.groups, ended: all.ended - all.groupsEnded, groups: all.groups}); some != want {
		t.Errorf("who watches some sees %+v, want %+v", some, want)
	}
	if later.begun != all.late || later.ended != all.ended {
		t.Errorf("the latecomer sees %+v, of %+v", later, all)
	}
}

// TestOverlook: who overlooks the waits that begin at a stack sees no more of them, until it
// looks again; others see them all, and the event goes on to them even if one panics then.
func TestOverlook(t *testing.T) {
	data := traced(t, func() {
		for range 20 {
			time.Sleep(100 * time.Microsecond)
			startAndWait(1)
		}
	})
	names := 0
	blocks := func(wait traceload.Wait, act func(p *detectors.Pass, n int, ev *traceload.Event)) (n *int, d *detectors.Detector) {
		n = new(int)
		names++
		d = detector("d"+strconv.Itoa(names), func(p *detectors.Pass) detectors.Observer {
			return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
				if ev.Kind == traceload.KindBlock && ev.Wait == wait {
					*n++
					if act != nil {
						act(p, *n, ev)
					}
				}
			}}
		})
		d.Watches = traceload.KindSet(traceload.KindBlock)
		return n, d
	}
	once, first := blocks(traceload.WaitSleep, func(p *detectors.Pass, _ int, ev *traceload.Event) { p.Overlook(ev) })
	_, broken := blocks(traceload.WaitSleep, func(_ *detectors.Pass, n int, _ *traceload.Event) {
		if n == 5 {
			panic("broken")
		}
	})
	twice, again := blocks(traceload.WaitSleep, nil)
	again.New = func(p *detectors.Pass) detectors.Observer {
		sleeps := 0
		return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
			switch {
			case ev.Kind == traceload.KindBlock && ev.Wait == traceload.WaitSleep:
				*twice++
				p.Overlook(ev)
			case ev.Kind == traceload.KindUnblock && ev.Wait == traceload.WaitSleep:
				if sleeps++; sleeps == 10 {
					p.LookAgain()
				}
			}
		}}
	}
	again.Watches = traceload.KindSet(traceload.KindBlock, traceload.KindUnblock)
	all, every := blocks(traceload.WaitSleep, nil)
	rep := analyze(t, data, first, broken, again, every)
	alone, only := blocks(traceload.WaitSleep, nil)
	analyze(t, data, only)
	if *all != *alone || *all < 20 {
		t.Fatalf("%d sleeps are seen beside others, %d alone", *all, *alone)
	}
	if *once > 3 { // when it was told, when somebody panicked, and when another looked again
		t.Errorf("overlooked, and seen %d times of %d", *once, *all)
	}
	if *twice < 2 || *twice > 3 {
		t.Errorf("overlooked and looked at again, and seen %d times of %d", *twice, *all)
	}
	if n := len(rep.Traces[0].Warnings); n != 1 {
		t.Errorf("%d warnings, want one of the detector that panicked: %q", n, rep.Traces[0].Warnings)
	}
}

// TestSeeEnd: who asks for the ends of some goroutines sees those, in its turn, and no others; if
// one panics then, the others see them still.
func TestSeeEnd(t *testing.T) {
	var ends []string
	asked := map[traceload.GoID]bool{}
	see := func(name string, sees func(born int) bool, breaks bool) *detectors.Detector {
		d := detector(name, func(p *detectors.Pass) detectors.Observer {
			born := 0
			return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
				if ev.Kind == traceload.KindEnd {
					if breaks {
						panic("broken")
					}
					ends = append(ends, fmt.Sprint(name, ev.G.ID))
				} else if born++; sees(born) {
					asked[ev.G.ID] = true
					p.SeeEnd(ev.G)
					p.SeeEnd(ev.G) // once is enough
				}
			}}
		})
		d.Watches = traceload.KindSet(traceload.KindCreate)
		return d
	}
	odd := func(n int) bool { return n%2 == 1 }
	never := func(int) bool { return false }
	all, none := see("c", never, false), see("d", never, false)
	all.Watches |= traceload.KindSet(traceload.KindEnd)
	data := traced(t, func() {
		for range 10 {
			startAndWait(1)
		}
	})
	oneLane := detectors.Config{Limits: traceload.Limits{Jobs: 1}}
	analyzeWith(t, data, oneLane, see("a", odd, false), see("b", odd, true), all, none)
	got := strings.Join(ends, " ")
	ends = nil
	analyzeWith(t, data, oneLane, all)
	var want []string
	for _, end := range ends {
		if id, _ := strconv.Atoi(end[1:]); asked[traceload.GoID(id)] {
			want = append(want, "a"+end[1:])
		}
		want = append(want, end)
	}
	if len(ends) < 10 || len(want) < len(ends)+5 || got != strings.Join(want, " ") {
		t.Errorf("ends are seen in this order: %s\nwant %s", got, strings.Join(want, " "))
	}
}

// TestWatchUnseen: events of a kind that nobody has watched are seen from the next one on.
func TestWatchUnseen(t *testing.T) {
	data := traced(t, func() {
		for range 20 { // a timer's wake-up and a start follow each other
			time.Sleep(100 * time.Microsecond)
		}
	})
	// What is seen after the nth wake-up, if from then on later is watched.
	after := func(n int, watched, later traceload.Kinds) (kinds []traceload.Kind) {
		d := detector("d", func(p *detectors.Pass) detectors.Observer {
			woken := 0
			return funcs{observe: func(_ *traceload.Program, ev *traceload.Event) {
				if woken >= n {
					kinds = append(kinds, ev.Kind)
				} else if ev.Kind == traceload.KindUnblock {
					if woken++; woken == n {
						p.Watch(later)
					}
				}
			}}
		})
		d.Watches = watched
		analyze(t, data, d)
		return kinds
	}
	one, two := traceload.KindSet(traceload.KindUnblock), traceload.KindSet(traceload.KindUnblock, traceload.KindStart)
	for n := range 10 {
		got, want := after(n+1, one, two), after(n+1, two, two)
		if !slices.Equal(got, want) || !slices.Contains(want, traceload.KindStart) {
			t.Errorf("who watches after %d wake-ups sees %v, want %v", n+1, got, want)
		}
	}
}

func TestCannotJudge(t *testing.T) {
	rep := analyze(t, record(t), detector("shy", func(p *detectors.Pass) detectors.Observer {
		return funcs{finish: func(*traceload.Program) { p.CannotJudge("it is too dark") }}
	}))
	if want := []string{"shy could not judge this trace: it is too dark"}; !slices.Equal(rep.Traces[0].Warnings, want) {
		t.Errorf("warnings %q, want %q", rep.Traces[0].Warnings, want)
	}
}

func TestLeaveInPeace(t *testing.T) {
	site := detectors.Frame{Func: "main.a", File: "a.go", Line: 1}
	rep := analyze(t, record(t), detector("calm", func(p *detectors.Pass) detectors.Observer {
		return funcs{finish: func(*traceload.Program) {
			p.LeaveInPeace(detectors.Frame{Func: "main.b"}, 2, "b")
			p.LeaveInPeace(site, 3, "a")
			p.LeaveInPeace(site, 4, "a")
		}}
	}))
	idle := rep.Traces[0].Idle
	if idle.Goroutines != 9 || len(idle.Sites) != 2 || idle.Sites[0].Site != site || idle.Sites[0].Goroutines != 7 {
		t.Errorf("idle: %+v", idle)
	}
}

// TestFindingsTellTheirTests: a finding belongs to the tests of its goroutines,
// of those too that have ended or that do not fit into a group, and of nobody
// who only started them.
func TestFindingsTellTheirTests(t *testing.T) {
	data := traced(t, func() {
		for _, name := range []string{"one", "two"} {
			t.Run(name, func(t *testing.T) {
				trace.Log(context.Background(), "tracedoc/test", "begin "+t.Name())
				startAndWait(20)
			})
		}
	})

	d := detector("whose", func(p *detectors.Pass) detectors.Observer {
		var ended detectors.Group
		return funcs{
			observe: func(_ *traceload.Program, ev *traceload.Event) {
				if ev.Kind == traceload.KindEnd && ev.G.BornKnown && !ev.G.System {
					ended.Add(ev.G.ID)
				}
			},
			finish: func(prog *traceload.Program) {
				p.Report(detectors.Finding{Cause: "c", Title: "all", Groups: []detectors.Group{ended}})
				ended.Role = detectors.Creator
				p.Report(detectors.Finding{Cause: "c", Title: "creators", Groups: []detectors.Group{ended}})
			},
		}
	})
	d.Watches = traceload.KindSet(traceload.KindEnd)
	rep := analyze(t, data, d)
	for _, f := range rep.Findings {
		want := []string{}
		if f.Title == "all" {
			want = []string{"TestFindingsTellTheirTests/one", "TestFindingsTellTheirTests/two"}
		}
		if !slices.Equal(f.Tests, want) {
			t.Errorf("%s: tests %q, want %q", f.Title, f.Tests, want)
		}
	}
	if len(rep.Findings) != 2 {
		t.Errorf("%d findings, want 2", len(rep.Findings))
	}
}
