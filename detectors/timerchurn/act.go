package timerchurn

import "github.com/tracedoc/tracedoc/traceload"

// maxClasses bounds the things that others do which looks are compared with.
const maxClasses = 128

// act is a class of what goroutines do, by where they came to block or by what ended:
// when it happened last, and in which kind of goroutine.
type act struct {
	at    traceload.Time
	entry traceload.StackID // see Goroutine.Entry
	place traceload.FrameID // of the class
}

// tally counts the pauses in which another goroutine came to a place.
type tally struct {
	last  int32 // before a look that found something
	other int32 // before a look in vain
}

// newClass returns the class of what is done at a place for the first time, + 1.
func (o *observer) newClass(frame traceload.FrameID) int16 {
	if len(o.acts) < maxClasses {
		o.acts = append(o.acts, act{place: frame})
	}
	class := int16(len(o.acts)) // what is rare enough to come last shares a place
	*o.classes.At(frame) = class
	return class
}

func (a *act) note(now traceload.Time, g *traceload.Goroutine) { a.at, a.entry = now, g.Entry }

// compare notes what others came to do during the pause before a look. The
// goroutine's own kind is left out: siblings do the same at the same time.
func (o *observer) compare(p *traceload.Program, g *traceload.Goroutine, s *site, began traceload.Time, found bool) {
	for len(s.hits) < len(o.acts) {
		s.hits = append(s.hits, tally{})
	}
	entry := p.EntryID(g)
	for c := range o.acts {
		if a := &o.acts[c]; a.at > began && p.Outermost(a.entry) != entry {
			if found {
				s.hits[c].last++
			} else {
				s.hits[c].other++
			}
		}
	}
}
