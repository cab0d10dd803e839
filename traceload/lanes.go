package traceload

import (
	"sync"
	"sync/atomic"
	"time"
)

// Observers may stand in several lanes, each on a goroutine of its own and with a
// Program of its own:
//
//	feed     one goroutine makes parts: records whose ids hold throughout the trace
//	lane     each takes all parts, in order, for its own Program, and its observer reads them
//
// Whatever a part holds is written before it is handed on and only read from then
// on. The first lane is the caller's goroutine.
type lanes struct {
	in       []chan *part
	stop     chan struct{} // nobody is to go on
	stopping sync.Once
	spent    []time.Duration // by lane: how long it was at work
}

// part is a run of records in order, with all that their ids refer to.
type part struct {
	tables  tables
	ids     ids // of what records refer to
	records *records
	bytes   int64  // of the trace read so far
	release func() // called when all lanes are through with it

	readers atomic.Int32 // lanes that are not
}

// readyParts is how many parts one lane may lag behind another. A lane that waits for another
// leaves a processor idle: with four, two of them lose 2 %, and with more than twelve gain nothing.
const readyParts = 12

// newLanes returns lanes for n observers.
func newLanes(n int) *lanes {
	l := &lanes{stop: make(chan struct{}), spent: make([]time.Duration, n)}
	for range n {
		l.in = append(l.in, make(chan *part, readyParts))
	}
	return l
}

// send hands a part to all lanes. It returns false when nobody is to go on.
func (l *lanes) send(p *part) bool {
	p.readers.Store(int32(len(l.in)))
	for _, in := range l.in {
		select {
		case in <- p:
		case <-l.stop:
			return false
		}
	}
	return true
}

// halt has feed and lanes end soon.
func (l *lanes) halt() { l.stopping.Do(func() { close(l.stop) }) }

// run returns when feed has ended and its parts went through all lanes. If an
// observer panics, so does run.
func (l *lanes) run(programs []*Program, observers []Lane, progress Progress, feed func()) {
	var others sync.WaitGroup
	var failure atomic.Value // what an observer of another lane panicked with
	others.Go(func() {
		defer func() {
			for _, in := range l.in {
				close(in)
			}
		}()
		feed()
	})
	for i := 1; i < len(l.in); i++ {
		others.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					failure.CompareAndSwap(nil, laneFailure{v})
					l.halt()
				}
			}()
			l.take(i, programs[i], observers[i].Observe, func(int64) {})
		})
	}
	defer func() { // also when the observer of this lane panics
		l.halt()
		others.Wait()
		if f, ok := failure.Load().(laneFailure); ok {
			panic(f.v)
		}
	}()
	l.take(0, programs[0], observers[0].Observe, progress)
	others.Wait()
}

type laneFailure struct{ v any }

// take lets one lane take parts to the end.
func (l *lanes) take(lane int, p *Program, observe func(*Program, *Events), progress Progress) {
	events := &Events{p}
	for b := range l.in[lane] {
		at := time.Now()
		p.t, p.ids = b.tables, b.ids
		p.take(b.records)
		observe(p, events)
		l.spent[lane] += time.Since(at)
		progress(b.bytes)
		if b.readers.Add(-1) == 0 {
			b.release()
		}
	}
}

// Events are some events, in order, for one observer to read. It must read them all, and
// keep nothing of them.
type Events struct{ p *Program }

// SkipStarts has Next leave out, or no longer leave out, the events of KindStart: a third
// of all in a busy program, of which few observers want to know. The Program takes them as ever.
func (e *Events) SkipStarts(skip bool) { e.p.skipStarts = skip }

// Next returns the next event, of which the Program is then up to date; nil after
// the last.
func (e *Events) Next() *Event { return e.p.next() }

// each makes an observer of one that is called for each event.
func each(observe func(*Program, *Event)) func(*Program, *Events) {
	return func(p *Program, events *Events) {
		for ev := events.Next(); ev != nil; ev = events.Next() {
			observe(p, ev)
		}
	}
}
