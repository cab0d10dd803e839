package traceload

import "strings"

// The words of the runtime that tracedoc itself knows (runtime/traceruntime.go,
// traceBlockReasonStrings), in the order of their ids.
const (
	textNone StringID = iota
	textSync
	textCond
	textChanSend
	textChanReceive
	textSelect
	textForever
	textSleep
	textNetwork
	textSystem
	textSynctest
	textPreempted
	textGCAssist
	textGCSweep
	textGCEnds
	textGCWeak
	textDebugCall
)

var knownStrings = [...]string{
	textNone:        "",
	textSync:        "sync",
	textCond:        "sync.(*Cond).Wait",
	textChanSend:    "chan send",
	textChanReceive: "chan receive",
	textSelect:      "select",
	textForever:     "forever",
	textSleep:       "sleep",
	textNetwork:     "network",
	textSystem:      "system goroutine wait",
	textSynctest:    "synctest",
	textPreempted:   "preempted",
	textGCAssist:    "GC mark assist wait for work",
	textGCSweep:     "GC background sweeper wait",
	textGCEnds:      "wait until GC ends",
	textGCWeak:      "GC weak to strong wait",
	textDebugCall:   "wait for debug call",
}

// isDeadline tells whether fn is the function that the runtime starts when the
// deadline of a context passes (context.WithDeadlineCause, before Go 1.21 WithDeadline).
func isDeadline(fn string) bool {
	return strings.HasPrefix(fn, "context.WithDeadlineCause.func") || strings.HasPrefix(fn, "context.WithDeadline.func")
}
