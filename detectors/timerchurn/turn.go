package timerchurn

import (
	"time"

	"github.com/tracedoc/tracedoc/traceload"
)

// turn is what is known of one goroutine that is alive.
type turn struct {
	site  uint32            // number of the line where it waits, or waited last; 0 if no timer ends that
	last  uint32            // number of the last such line, which counts it
	looks uint32            // in observer.looks; 0 for most
	owes  uint32            // who asked this one: its slot + 1; 0 if nobody did, or it is done
	asker uint32            // … and the lower half of its id
	rest  traceload.FrameID // where it waited to be asked; 0 if it was started for it

	paused bool // a timer has woken it at a site
	awake  bool // … just now, and it is not back yet
	acted  bool // … and has done something since
	asked  bool // it has asked another goroutine for something, in that it woke or started it
}

// looks is what is known beyond that of a goroutine that a timer has woken, or that waits
// at several lines.
type looks struct {
	began    traceload.Time // of the last pause that a timer ended
	slept    time.Duration
	rowFrom  traceload.Time
	answered traceload.Time // when one that it had asked was done with it
	row      int32          // looks in vain one after the other
	partial  bool           // its run was interrupted since the last pause

	next    uint8
	visited [4]uint32 // numbers of sites: counted there
}

// looksOf returns a goroutine's looks, after making a place for them if there is none.
func (o *observer) looksOf(t *turn) *looks {
	if t.looks == 0 {
		t.looks = o.looks.Take()
	}
	return o.looks.At(t.looks)
}

// forget clears what is known of a goroutine.
func (o *observer) forget(t *turn) {
	o.looks.Give(t.looks)
	*t = turn{}
}

// asks tells whether who stands on this stack and wakes or starts somebody asks for something.
func (o *observer) asks(p *traceload.Program, stack traceload.StackID) bool {
	at := o.stacks.At(stack)
	if at.asking == unknown {
		at.asking = notAsking
		if st := p.Stack(stack); st.Owner < 0 || p.Frame(st.Frames[st.Owner]).Origin == traceload.OriginUser {
			at.asking = isAsking
		}
	}
	return at.asking == isAsking
}

// ask notes that g asked another goroutine, which waits for such at rest.
func (o *observer) ask(g *traceload.Goroutine, from, to *turn, rest traceload.FrameID) {
	from.asked = true
	if from.paused {
		o.looks.At(from.looks).answered = 0
	}
	to.owes, to.asker, to.rest = uint32(g.Slot)+1, uint32(g.ID), rest
}

// answer notes that a goroutine is done with what it was asked for. When that was is of
// interest only to one that a timer has woken before.
func (o *observer) answer(p *traceload.Program, t *turn) {
	g := p.InSlot(int32(t.owes - 1))
	if from := o.slots.At(g); from.paused && from.asked && uint32(g.ID) == t.asker {
		o.looks.At(from.looks).answered = p.Now
	}
	t.owes, t.rest = 0, 0
}
