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
	// wait is what it waits for then, if it waits for other things at other times.
	wait traceload.Wait
	// user is a function in which whoever will close it may be at work.
	user string
}

// forgottenTable, with where the rule comes from in the Go source.
var forgottenTable = []*forgotten{
	// context/context.go, propagateCancel: the last case, for a parent that is
	// no cancelCtx and has no AfterFunc.
	{entry: "context.(*cancelCtx).propagateCancel.func", What: "cancels the context that was made from a foreign parent",
		why: "package context starts this goroutine for a child of a foreign context; it lives until either is cancelled"},
	// database/sql/sql.go, initContextClose: ends with Rows.Close or the context.
	{entry: "database/sql.(*Rows).awaitDone", What: "closes the rows",
		why: "database/sql starts this goroutine for a query's rows; it lives until they are closed or the query's context ends"},
	// database/sql/sql.go, beginDC: ends with Commit, Rollback or the context.
	{entry: "database/sql.(*Tx).awaitDone", What: "commits or rolls back the transaction",
		why: "database/sql starts this goroutine for a transaction; it lives until it is committed or rolled back, or its context ends"},
	// net/http/transport.go, persistConn.readLoop: the select after a response with a body.
	{entry: "net/http.(*persistConn).readLoop", What: "reads the response's body to its end or closes it",
		why:  "net/http's reader of a connection waits here until the response's body has been read or is closed",
		wait: traceload.WaitSelect, user: "net/http.(*bodyEOFSignal).Read"},
}

func forgottenBy(p *traceload.Program, g *traceload.Goroutine) *forgotten {
	e := p.Entry(g)
	if e == nil {
		return nil
	}
	for _, f := range forgottenTable {
		// A go statement with a method and arguments starts a wrapper: (*DB).beginDC.gowrap1.
		if strings.HasPrefix(e.Func, f.entry) && f.fits(g) {
			return f
		}
	}
	for _, id := range p.Stack(g.Stack).Frames {
		for _, f := range forgottenTable {
			if strings.HasPrefix(p.Frame(id).Func, f.entry) && f.fits(g) {
				return f
			}
		}
	}
	return nil
}

func (f *forgotten) fits(g *traceload.Goroutine) bool {
	return f.wait == traceload.WaitUnknown || f.wait == g.Wait
}

// users counts the goroutines that are at work in f.user.
func (f *forgotten) users(p *traceload.Program) (n int) {
	if f.user == "" {
		return 0
	}
	for g := range p.Live {
		n += btoi(slices.ContainsFunc(p.Stack(g.Stack).Frames, func(id traceload.FrameID) bool { return p.Frame(id).Func == f.user }))
	}
	return n
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
