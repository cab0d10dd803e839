package render

import (
	"cmp"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of Perfetto's format that are written here, by their numbers in its
// messages. They are part of its public interface (docs: "track events").
const (
	tracePacket = 1 // Trace

	packetTime       = 8 // TracePacket
	packetSequence   = 10
	packetEvent      = 11
	packetDescriptor = 60

	trackID       = 1 // TrackDescriptor
	trackTitle    = 2
	trackParent   = 5
	trackCounter  = 8
	trackOrdering = 11 // of the tracks below it
	trackRank     = 12

	orderedByRank = 3 // TrackDescriptor.ChildTracksOrdering

	counterUnit = 6 // CounterDescriptor

	eventNotes     = 4 // TrackEvent
	eventType      = 9
	eventTrack     = 11
	eventName      = 23
	eventCount     = 44
	eventFlows     = 47
	eventFlowsHere = 48 // flows that end

	noteText = 6 // DebugAnnotation
	noteName = 10
)

// sequence is the number of the one writer of all events.
const sequence = 1

// encode writes tracks and events, in order of time.
func (p *perfetto) encode() []byte {
	slices.SortStableFunc(p.events, func(a, b perfettoEvent) int { return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.order(), b.order())) })
	var out []byte
	for i := range p.tracks {
		out = message(out, tracePacket, message(nil, packetDescriptor, p.tracks[i].encode()))
	}
	for i := range p.events {
		e := &p.events[i]
		packet := number(nil, packetTime, uint64(max(0, e.t)))
		packet = number(packet, packetSequence, sequence)
		out = message(out, tracePacket, message(packet, packetEvent, e.encode()))
	}
	return out
}

func (t *perfettoTrack) encode() []byte {
	b := number(nil, trackID, t.id)
	b = str(b, trackTitle, t.name)
	if t.parent != 0 {
		b = number(b, trackParent, t.parent)
	}
	if t.counter {
		b = message(b, trackCounter, str(nil, counterUnit, "goroutines"))
	}
	b = number(b, trackOrdering, orderedByRank)
	return number(b, trackRank, uint64(t.rank))
}

func (e *perfettoEvent) encode() []byte {
	b := number(nil, eventType, uint64(e.kind))
	b = number(b, eventTrack, e.track)
	if e.kind == counted {
		b = protowire.AppendTag(b, eventCount, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(e.count))
	}
	if e.name != "" {
		b = str(b, eventName, e.name)
	}
	for _, id := range e.from {
		b = protowire.AppendTag(b, eventFlows, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, id)
	}
	for _, id := range e.to {
		b = protowire.AppendTag(b, eventFlowsHere, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, id)
	}
	for _, n := range e.notes {
		if n.text != "" {
			b = message(b, eventNotes, str(str(nil, noteName, n.name), noteText, n.text))
		}
	}
	return b
}

func number(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func str(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}
