// Package timed says what the source tells of a wait that a timer may end. It
// keeps no state, and says nothing where the source is not at hand.
package timed

import (
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Select is what the source says of a select. All is false where it is not at hand.
type Select struct {
	Pause  bool // beside a timer it waits for the end of everything only
	Ticker bool // its only timer is a ticker
	Answer bool // it waits for something that may come
	Reply  bool // … on a channel that was made for this one wait
	After  bool // it calls time.After
}

// SelectAt reads the select at a line; src may be nil.
func SelectAt(src detectors.Source, f *traceload.Frame) Select {
	var found Select
	if src == nil || f == nil {
		return found
	}
	ops, _ := src.ChanOps(f.File, f.Line)
	if len(ops) != 1 || ops[0].Kind != source.ChanSelect {
		return found
	}
	timer := false
	for _, c := range ops[0].Channels {
		switch {
		case c.Origin == source.OriginTimer:
			timer = true
			found.After = found.After || strings.HasPrefix(c.Expr, "time.After(")
		case c.Origin == source.OriginTicker:
			found.Ticker = true
		case c.Origin == source.OriginContext:
		case c.Fresh && !c.Send:
			found.Answer, found.Reply = true, true
		case !c.Send && strings.HasSuffix(c.Type, "chan struct{}"): // closed when all is over
		default:
			found.Answer = true
		}
	}
	found.Pause = (timer || found.Ticker) && !found.Answer
	if timer {
		found.Ticker = false // which of the two ended a wait is not known
	}
	return found
}

// Loop is how a line is repeated by its own function.
type Loop uint8

const (
	Unknown Loop = iota // the source is not at hand
	Steps               // no loop is around it, or one that counts: work in steps
	Paces               // a loop that comes to it on every turn until it is stopped
	Looks               // a loop that goes on until it finds something, or comes to it only when it finds nothing
)

// LoopAt reads the loop around a line; src may be nil.
func LoopAt(src detectors.Source, f *traceload.Frame) Loop {
	if src == nil || f == nil {
		return Unknown
	}
	loop, ok := src.Loop(f.File, f.Line)
	switch {
	case !ok:
		return Unknown
	case loop == source.LoopLooks:
		return Looks
	case loop == source.LoopPaces:
		return Paces
	}
	return Steps
}

// InLoop tells whether any loop of its function is around a line.
func InLoop(src detectors.Source, f *traceload.Frame) bool {
	loop, ok := src.Loop(f.File, f.Line)
	return ok && loop != source.LoopNone
}
