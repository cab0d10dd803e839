package waits

import (
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// forgotten is a goroutine of the standard library that lives only until the
// user closes or cancels something.
type forgotten struct {
	entry string // prefix of its entry function
	What  string // what was forgotten, completing "nobody ..."
	why   string // the evidence
}

// forgottenTable, with where the rule comes from in the Go source.
var forgottenTable = []*forgotten{
	// context/context.go, propagateCancel: the last case, for a parent that is
	// no cancelCtx and has no AfterFunc.
	{"context.(*cancelCtx).propagateCancel.func", "cancels the context that was made from a foreign parent",
		"package context starts this goroutine for a child of a foreign context; it lives until either is cancelled"},
	// database/sql/sql.go, initContextClose: ends with Rows.Close or the context.
	{"database/sql.(*Rows).awaitDone", "closes the rows",
		"database/sql starts this goroutine for a query's rows; it lives until they are closed or the query's context ends"},
	// database/sql/sql.go, beginDC: ends with Commit, Rollback or the context.
	{"database/sql.(*Tx).awaitDone", "commits or rolls back the transaction",
		"database/sql starts this goroutine for a transaction; it lives until it is committed or rolled back, or its context ends"},
}

func forgottenBy(p *traceload.Program, g *traceload.Goroutine) *forgotten {
	e := p.Entry(g)
	if e == nil {
		return nil
	}
	for _, f := range forgottenTable {
		// A go statement with a method and arguments starts a wrapper: (*DB).beginDC.gowrap1.
		if strings.HasPrefix(e.Func, f.entry) {
			return f
		}
	}
	for _, id := range p.Stack(g.Stack).Frames {
		for _, f := range forgottenTable {
			if strings.HasPrefix(p.Frame(id).Func, f.entry) {
				return f
			}
		}
	}
	return nil
}

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
	if gr.forgotten != nil {
		return PurposeForeign, "nobody " + gr.forgotten.What
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
