package render

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/detectors/suite"
	"github.com/tracedoc/tracedoc/scenes"
	"github.com/tracedoc/tracedoc/traceload"
)

// decoders turn what binary formats write into text.
var decoders = map[string]func(*testing.T, []byte) string{
	"pprof":    func(t *testing.T, data []byte) string { return parseProfile(t, data).String() },
	"perfetto": decodePerfetto,
}

func parseProfile(t *testing.T, data []byte) *profile.Profile {
	t.Helper()
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkPprof: what makes a profile valid, parsing has checked.
func checkPprof(t *testing.T, out string) {
	if !strings.Contains(out, "count/count lost/nanoseconds[dflt]") {
		t.Errorf("the sample types are not there:\n%.500s", out)
	}
}

func TestPprof(t *testing.T) {
	r := readReport(t, "report.json")
	var b bytes.Buffer
	if err := Pprof(&b, r, Options{}); err != nil {
		t.Fatal(err)
	}
	p := parseProfile(t, b.Bytes())
	if len(p.Sample) != len(r.Traces[0].Lost) {
		t.Fatalf("%d samples", len(p.Sample))
	}
	for i, l := range r.Traces[0].Lost {
		s := p.Sample[i]
		if s.Value[0] != int64(l.Count) || s.Value[1] != int64(l.Time) || s.Label["state"][0] != l.State || s.Label["trace"][0] != r.Traces[0].Source {
			t.Errorf("%+v became %v %v", l, s.Value, s.Label)
		}
		for j, f := range l.Stack {
			if line := s.Location[j].Line[0]; line.Function.Name != f.Func || line.Function.Filename != f.File || int(line.Line) != f.Line {
				t.Errorf("%+v became %+v", f, line)
			}
		}
	}
	lock := r.Findings[1].Detector
	for i, want := range []struct{ reason, detector string }{{"sync", lock}, {"network", lock}, {"runnable", ""}, {"syscall", ""}} {
		l := p.Sample[i].Label
		if l["reason"][0] != want.reason || strings.Join(l["detector"], " ") != want.detector {
			t.Errorf("sample %d has the labels %v, want %v", i, l, want)
		}
	}
	if p.DefaultSampleType != "lost" || p.TimeNanos == 0 || p.Sample[3].Location[0].Line[0].Function.Name != elsewhere {
		t.Errorf("%v", p)
	}
	b.Reset()
	if err := Pprof(&b, &detectors.Report{}, Options{}); err != nil { // nothing lost, nothing wrong
		t.Fatal(err)
	}
	parseProfile(t, b.Bytes())
}

// perfettoSchema is the part of Perfetto's schema that is needed to read what
// is written here, and what must not be mistaken for it. As of Perfetto v50:
// protos/perfetto/trace/{trace,trace_packet}.proto and below track_event.
const perfettoSchema = `
name: "trace.proto" package: "perfetto.protos" syntax: "proto2"
message_type { name: "Trace"
	field { name: "packet" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".perfetto.protos.TracePacket" } }
message_type { name: "TracePacket"
	field { name: "timestamp" number: 8 label: LABEL_OPTIONAL type: TYPE_UINT64 }
	field { name: "trusted_packet_sequence_id" number: 10 label: LABEL_OPTIONAL type: TYPE_UINT32 }
	field { name: "track_event" number: 11 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".perfetto.protos.TrackEvent" }
	field { name: "track_descriptor" number: 60 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".perfetto.protos.TrackDescriptor" } }
message_type { name: "TrackDescriptor"
	field { name: "uuid" number: 1 label: LABEL_OPTIONAL type: TYPE_UINT64 }
	field { name: "name" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
	field { name: "parent_uuid" number: 5 label: LABEL_OPTIONAL type: TYPE_UINT64 }
	field { name: "counter" number: 8 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".perfetto.protos.CounterDescriptor" }
	field { name: "child_ordering" number: 11 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".perfetto.protos.TrackDescriptor.ChildTracksOrdering" }
	field { name: "sibling_order_rank" number: 12 label: LABEL_OPTIONAL type: TYPE_INT32 }
	enum_type { name: "ChildTracksOrdering"
		value { name: "UNKNOWN" number: 0 } value { name: "LEXICOGRAPHIC" number: 1 } value { name: "CHRONOLOGICAL" number: 2 } value { name: "EXPLICIT" number: 3 } } }
message_type { name: "CounterDescriptor"
	field { name: "unit_name" number: 6 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "TrackEvent"
	field { name: "debug_annotations" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".perfetto.protos.DebugAnnotation" }
	field { name: "type" number: 9 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".perfetto.protos.TrackEvent.Type" }
	field { name: "track_uuid" number: 11 label: LABEL_OPTIONAL type: TYPE_UINT64 }
	field { name: "name" number: 23 label: LABEL_OPTIONAL type: TYPE_STRING }
	field { name: "counter_value" number: 30 label: LABEL_OPTIONAL type: TYPE_INT64 }
	field { name: "double_counter_value" number: 44 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
	field { name: "flow_ids" number: 47 label: LABEL_REPEATED type: TYPE_FIXED64 }
	field { name: "terminating_flow_ids" number: 48 label: LABEL_REPEATED type: TYPE_FIXED64 }
	enum_type { name: "Type"
		value { name: "TYPE_UNSPECIFIED" number: 0 } value { name: "TYPE_SLICE_BEGIN" number: 1 } value { name: "TYPE_SLICE_END" number: 2 }
		value { name: "TYPE_INSTANT" number: 3 } value { name: "TYPE_COUNTER" number: 4 } } }
message_type { name: "DebugAnnotation"
	field { name: "string_value" number: 6 label: LABEL_OPTIONAL type: TYPE_STRING }
	field { name: "name" number: 10 label: LABEL_OPTIONAL type: TYPE_STRING } }
`

// decodePerfetto reads a trace by the schema, and holds it against what
// Perfetto expects beyond it.
func decodePerfetto(t *testing.T, data []byte) string {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(perfettoSchema), &file); err != nil {
		t.Fatal(err)
	}
	schema, err := protodesc.NewFile(&file, nil)
	if err != nil {
		t.Fatal(err)
	}
	trace := dynamicpb.NewMessage(schema.Messages().ByName("Trace"))
	if err := proto.Unmarshal(data, trace); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	check := perfettoCheck{t: t, tracks: map[uint64]bool{0: false}, open: map[uint64]int{}, flows: map[uint64]int{}}
	packets := trace.Get(trace.Descriptor().Fields().ByName("packet")).List()
	for i := range packets.Len() {
		packet := packets.Get(i).Message()
		show(t, &out, packet)
		out.WriteByte('\n')
		check.packet(packet)
	}
	for track, n := range check.open {
		if n != 0 {
			t.Errorf("%d slices of track %d do not end", n, track)
		}
	}
	for flow, n := range check.flows {
		if n != 2 {
			t.Errorf("the flow %d leads nowhere", flow)
		}
	}
	return out.String()
}

type perfettoCheck struct {
	t      *testing.T
	tracks map[uint64]bool // whether it is a counter
	open   map[uint64]int  // slices, by track
	flows  map[uint64]int  // 1 begun, 2 ended
	now    uint64
}

func (c *perfettoCheck) packet(m protoreflect.Message) {
	if d := sub(m, "track_descriptor"); d.IsValid() {
		id := field(d, "uuid").Uint()
		if _, twice := c.tracks[id]; twice {
			c.t.Errorf("track %d is defined twice", id)
		}
		if _, ok := c.tracks[field(d, "parent_uuid").Uint()]; !ok {
			c.t.Errorf("track %d has no parent", id)
		}
		c.tracks[id] = sub(d, "counter").IsValid()
		return
	}
	e := sub(m, "track_event")
	if !e.IsValid() || field(m, "trusted_packet_sequence_id").Uint() == 0 {
		c.t.Fatalf("a packet of nothing: %v", m)
	}
	now := field(m, "timestamp").Uint()
	if now < c.now {
		c.t.Errorf("time goes from %d to %d", c.now, now)
	}
	c.now = now
	track := field(e, "track_uuid").Uint()
	counter, known := c.tracks[track]
	kind := field(e, "type").Enum()
	if !known || track == 0 || counter != (kind == 4) {
		c.t.Errorf("an event of kind %d on track %d", kind, track)
	}
	switch kind {
	case 1:
		c.open[track]++
		if c.open[track] > 1 {
			c.t.Errorf("a slice within a slice on track %d", track)
		}
	case 2:
		if c.open[track]--; c.open[track] < 0 {
			c.t.Errorf("a slice of track %d ends before it begins", track)
		}
	}
	for i, list := range []protoreflect.List{field(e, "flow_ids").List(), field(e, "terminating_flow_ids").List()} {
		for j := range list.Len() {
			if id := list.Get(j).Uint(); c.flows[id] != i {
				c.t.Errorf("the flow %d begins or ends out of turn", id)
			} else {
				c.flows[id]++
			}
		}
	}
}

// sub returns a message within a message, not valid if it is not there.
func sub(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	return field(m, name).Message()
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

// show writes a message in one line, the fields in the order of the schema.
func show(t *testing.T, out *strings.Builder, m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		t.Errorf("fields that the schema does not know: %x", m.GetUnknown())
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		values := []protoreflect.Value{m.Get(f)}
		if f.IsList() {
			list := values[0].List()
			values = nil
			for j := range list.Len() {
				values = append(values, list.Get(j))
			}
		}
		for _, v := range values {
			fmt.Fprintf(out, " %s:", f.Name())
			switch f.Kind() {
			case protoreflect.MessageKind:
				out.WriteString("{")
				show(t, out, v.Message())
				out.WriteString(" }")
			case protoreflect.EnumKind:
				out.WriteString(string(f.Enum().Values().ByNumber(v.Enum()).Name()))
			case protoreflect.StringKind:
				out.WriteString(v.String())
			default:
				fmt.Fprint(out, v.Interface())
			}
		}
	}
}

// checkPerfetto: the decoder has checked the rest.
func checkPerfetto(t *testing.T, out string) {
	if !strings.HasPrefix(out, " track_descriptor:{ uuid:1 ") {
		t.Errorf("no track:\n%.500s", out)
	}
}

// Whatever is in the report of another program, the trace is one.
func TestPerfettoOfForeignReports(t *testing.T) {
	r := readReport(t, "report.json")
	s := r.Findings[1].Scene
	s.Wakes = append(s.Wakes, detectors.Wake{T: s.From, By: 99, Of: 0}, detectors.Wake{T: s.From, By: 0, Of: 99}, detectors.Wake{T: s.From, By: -5, Of: -1})
	s.Tracks[0].Spans[1].Frame = 99
	s.Tracks[1].Spans[2].From -= 1000 // while the one before is not over
	s.Tracks[1].Spans[3].To = s.Tracks[1].Spans[3].From
	r.Findings[0].Timeline = nil // nothing says when it was
	write(t, mustFormat(t, "perfetto"), r, Options{})
}

// What is recorded and found becomes a trace and a profile that are sound.
func TestBinaryOfRecordings(t *testing.T) {
	for _, fixture := range []string{"deadlock-lock-order", "goroutine-growth-burst", "chatty-handoff-ping-pong", "scheduler-latency-saturated", "timer-churn-after-in-loop"} {
		path := filepath.Join("..", "fixtures", fixture, "defect", "go1.26.trace.zst")
		open := func() (*traceload.Input, error) {
			in, err := traceload.Open(t.Context(), path, traceload.OpenOptions{})
			if err == nil {
				t.Cleanup(func() { in.Close() })
			}
			return in, err
		}
		in, err := open()
		if err != nil {
			t.Fatal(err)
		}
		res, err := detectors.Analyze(in, suite.All(), detectors.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r := detectors.NewReport([]*detectors.Result{res}, detectors.Options{MinSeverity: detectors.Low, MinConfidence: 0.5})
		if err := scenes.Draw(r, 0, detectors.AllParts, open, nil); err != nil {
			t.Fatal(err)
		}
		if out := write(t, mustFormat(t, "perfetto"), r, Options{}); !strings.Contains(out, r.Findings[0].Title) || !strings.Contains(out, "TYPE_COUNTER") {
			t.Errorf("%s: the finding or the counters are missing", fixture)
		}
		checkPprof(t, write(t, mustFormat(t, "pprof"), r, Options{}))
	}
}
