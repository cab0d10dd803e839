package waits

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// Purpose is what a group waits to be told.
type Purpose uint8

const (
	PurposeOther   Purpose = iota // work, a result, a lock
	PurposeContext                // the end of a context
	PurposeDone                   // the closing of a done channel
	PurposeForeign                // the end of something that the standard library watches for the user
)

// Purpose tells what the group waits for, from how others at the same place
// were woken, or from the source if src is not nil. how is evidence in words.
func (t *Table) Purpose(p *traceload.Program, gr *Group, src detectors.Source) (purpose Purpose, how string) {
	if gr.forgotten() {
		return PurposeForeign, "nobody " + gr.known.Forgot
	}
	s := gr.Site
	if w := s.Wait; w != traceload.WaitChanReceive && w != traceload.WaitSelect && w != traceload.WaitNilChan {
		return PurposeOther, ""
	}
	if src != nil && s.Frame != 0 {
		f := p.Frame(s.Frame)
		if ops, ok := src.ChanOps(f.File, f.Line); ok {
			return purposeOf(ops)
		}
	}
	cancelled := s.Cancelled
	if s.Wait == traceload.WaitNilChan { // a context that never ends has a nil channel; those at the same line that do end tell
		for _, w := range []traceload.Wait{traceload.WaitChanReceive, traceload.WaitSelect} {
			if other := t.sites[siteKey{w, s.Frame}]; other != nil {
				cancelled += other.Cancelled
			}
		}
	}
	switch {
	case cancelled > 0:
		return PurposeContext, "others that waited here were woken by the cancelling of their contexts"
	case s.Closed > 0 && (s.Wait == traceload.WaitSelect || s.Sent == 0):
		return PurposeDone, "others that waited here were woken by the closing of their channels"
	}
	return PurposeOther, ""
}

// doneNames are how channels are called that are closed to end something.
var doneNames = []string{"done", "quit", "stop", "close", "exit", "shutdown", "term", "kill", "end", "finish", "cancel", "abort", "die", "dying"}

// purposeOf tells what the channels of a statement are for.
func purposeOf(ops []source.ChanOp) (Purpose, string) {
	done := ""
	for _, op := range ops {
		for _, c := range op.Channels {
			switch {
			case c.Send:
			case c.Origin == source.OriginContext, c.Origin == source.OriginUnknown && strings.HasSuffix(c.Expr, ".Done()"):
				return PurposeContext, "the source waits for " + c.Expr
			case done == "" && op.Kind != source.ChanRange && isDoneName(c.Expr):
				done = c.Expr
			}
		}
	}
	if done != "" {
		return PurposeDone, "the source waits for " + done
	}
	return PurposeOther, ""
}

// isDoneName tells whether a channel is called as those are that end something.
func isDoneName(expr string) bool {
	name := strings.ToLower(strings.TrimSuffix(expr[strings.LastIndexByte(expr, '.')+1:], "()"))
	name = strings.TrimSuffix(strings.TrimSuffix(name, "ch"), "chan")
	return slices.ContainsFunc(doneNames, func(d string) bool { return strings.HasPrefix(name, d) || strings.HasSuffix(name, d) })
}
