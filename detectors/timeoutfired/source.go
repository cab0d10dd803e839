package timeoutfired

import (
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/source"
	"github.com/tracedoc/tracedoc/traceload"
)

// said is what the source says of a select that a timer ends. All is false
// where it is not at hand.
type said struct {
	pause  bool // beside the timer it waits for the end of everything only
	ticker bool // the timer is a ticker
	answer bool // beside the timer it waits for something that may come
	reply  bool // … on a channel that the same function has made
}

// askedFor reads the select at s.
func askedFor(p *traceload.Program, s *site, src detectors.Source) said {
	var found said
	if src == nil || !s.userWaits {
		return found
	}
	f := p.Frame(s.frame)
	ops, _ := src.ChanOps(f.File, f.Line)
	if len(ops) != 1 || ops[0].Kind != source.ChanSelect {
		return found
	}
	timer := false
	for _, c := range ops[0].Channels {
		switch {
		case c.Origin == source.OriginTimer:
			timer = true
		case c.Origin == source.OriginTicker:
			found.ticker = true
		case c.Origin == source.OriginContext:
		case c.Origin == source.OriginLocal && c.Made:
			found.answer, found.reply = true, true
		case !c.Send && strings.HasSuffix(c.Type, "chan struct{}"): // closed when all is over
		default:
			found.answer = true
		}
	}
	found.pause = (timer || found.ticker) && !found.answer
	if timer {
		found.ticker = false // which of the two ended a wait is not known
	}
	return found
}
