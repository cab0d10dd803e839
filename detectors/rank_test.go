package detectors

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func judgedBy(d *Detector, f Finding) judged {
	f.Detector, f.Family = d.Name, d.Family
	return judged{f, d}
}

var testDetector = &Detector{Name: "d", Family: Locks, Causes: []Cause{{Name: "c", Pattern: "shard-lock", Cap: Critical}, {Name: "mild", Pattern: "shard-lock", Cap: Low}}}

func TestSeverity(t *testing.T) {
	const length = 10 * time.Second
	tests := []struct {
		name   string
		f      Finding
		length time.Duration
		want   Severity
	}{
		{"two held up all the time", Finding{Effect: EffectDelays, Impact: Impact{Blocked: 2 * length}}, length, High},
		{"one in five moments", Finding{Effect: EffectDelays, Impact: Impact{Blocked: length / 5}}, length, Medium},
		{"one in fifty", Finding{Effect: EffectDelays, Impact: Impact{Blocked: length / 50}}, length, Low},
		{"hardly", Finding{Effect: EffectDelays, Impact: Impact{Blocked: time.Millisecond}}, length, Info},
		{"much in a blink is little", Finding{Effect: EffectDelays, Impact: Impact{Blocked: 15 * time.Millisecond}}, 20 * time.Millisecond, Low},
		{"stops", Finding{Effect: EffectStops}, length, Critical},
		{"stops, not sure", Finding{Effect: EffectStops, Confidence: 0.7}, length, High},
		{"doubtful", Finding{Effect: EffectStops, Confidence: 0.55}, length, Medium},
		{"grows", Finding{Effect: EffectGrows, Impact: Impact{Goroutines: 20}}, length, High},
		{"grows a little", Finding{Effect: EffectGrows, Impact: Impact{Goroutines: 3}}, length, Medium},
		{"one", Finding{Effect: EffectGrows, Impact: Impact{Goroutines: 1}}, length, Low},
		{"one, left by a test", Finding{Effect: EffectGrows, OutlivesTest: true, Impact: Impact{Goroutines: 1}}, length, Medium},
		{"wastes", Finding{Effect: EffectWastes, Impact: Impact{Blocked: length / 10}}, length, Medium},
		{"wastes little", Finding{Effect: EffectWastes, Impact: Impact{Blocked: length / 50}}, length, Low},
		{"wastes much of its bursts", Finding{Effect: EffectWastes, Active: length / 20, Impact: Impact{Blocked: length / 100}}, length, Medium},
		{"wastes much of few bursts", Finding{Effect: EffectWastes, Active: length / 1000, Impact: Impact{Blocked: length / 2000}}, length, Info},
		{"wastes little of its bursts", Finding{Effect: EffectWastes, Active: length / 2, Impact: Impact{Blocked: length / 100}}, length, Low},
		{"capped", Finding{Effect: EffectStops, Cause: "mild"}, length, Low},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.Cause == "" {
				tt.f.Cause = "c"
			}
			if tt.f.Confidence == 0 {
				tt.f.Confidence = 0.95
			}
			got := judgedBy(testDetector, tt.f).finish(&Result{trace: Trace{Duration: tt.length}})
			if got.Severity != tt.want {
				t.Errorf("severity %v, want %v", got.Severity, tt.want)
			}
			if got.Pattern.ID != "shard-lock" || got.Pattern.Before == "" {
				t.Errorf("pattern %+v", got.Pattern)
			}
		})
	}
}

func TestShortTraceCapsConfidence(t *testing.T) {
	leak := judgedBy(testDetector, Finding{Cause: "c", Effect: EffectGrows, Confidence: 0.99})
	delay := judgedBy(testDetector, Finding{Cause: "c", Effect: EffectDelays, Confidence: 0.99})
	short := &Result{trace: Trace{Duration: 50 * time.Millisecond}}
	if got := leak.finish(short).Confidence; got != 0.6 {
		t.Errorf("a leak in 50ms: confidence %v, want 0.6", got)
	}
	left := judgedBy(testDetector, Finding{Cause: "c", Effect: EffectGrows, Confidence: 0.99, OutlivesTest: true})
	if got := left.finish(short).Confidence; got != 0.99 {
		t.Errorf("left by a test of 50ms: confidence %v, want 0.99", got)
	}
	if got := delay.finish(short).Confidence; got != 0.99 {
		t.Errorf("a delay in 50ms: confidence %v, want 0.99", got)
	}
}

func TestMerge(t *testing.T) {
	line := Frame{Func: "main.f", File: "f.go", Line: 3}
	better := &Detector{Name: "better", Family: Locks, Causes: testDetector.Causes}
	yielding := &Detector{Name: "yielding", Family: Locks, Causes: testDetector.Causes, Yields: []string{"better"}}
	at := func(d *Detector, confidence float64, site Frame, explains ...Frame) judged {
		return judgedBy(d, Finding{Cause: "c", Confidence: confidence, Site: site, Explains: explains})
	}
	elsewhere := Frame{Func: "main.g", Line: 9}
	tests := []struct {
		name string
		list []judged
		want int
	}{
		{"same site", []judged{at(yielding, 0.9, line), at(better, 0.9, line)}, 1},
		{"explained", []judged{at(yielding, 0.9, line), at(better, 0.9, elsewhere, line)}, 1},
		{"another line", []judged{at(yielding, 0.9, line), at(better, 0.9, elsewhere)}, 2},
		{"the better one is not sure", []judged{at(yielding, 0.9, line), at(better, 0.4, line)}, 2},
		{"no precedence", []judged{at(testDetector, 0.9, line), at(better, 0.9, line)}, 2},
	}
	for _, tt := range tests {
		if got := merge(tt.list); len(got) != tt.want {
			t.Errorf("%s: %d findings left, want %d", tt.name, len(got), tt.want)
		}
	}
}

func TestNewReport(t *testing.T) {
	result := &Result{trace: Trace{Source: "a", Duration: 10 * time.Second}}
	for _, f := range []Finding{
		{Cause: "c", Effect: EffectDelays, Confidence: 0.9, Impact: Impact{Blocked: 30 * time.Second}, Title: "high"},
		{Cause: "c", Effect: EffectStops, Confidence: 0.9, Title: "critical"},
		{Cause: "c", Effect: EffectDelays, Confidence: 0.9, Impact: Impact{Blocked: 300 * time.Millisecond}, Title: "low"},
		{Cause: "c", Effect: EffectStops, Confidence: 0.3, Title: "doubtful"},
	} {
		result.findings = append(result.findings, judgedBy(testDetector, f))
	}
	titles := func(opt Options) (list []string) {
		rep := NewReport([]*Result{result}, opt)
		for i, f := range rep.Findings {
			if f.Rank != i+1 {
				t.Errorf("rank %d at position %d", f.Rank, i)
			}
			list = append(list, f.Title)
		}
		if len(list)+rep.Omitted != 4 {
			t.Errorf("%d findings and %d omitted, want 4 in all", len(list), rep.Omitted)
		}
		return list
	}
	for _, tt := range []struct {
		opt  Options
		want []string
	}{
		{Options{}, []string{"critical", "high", "low", "doubtful"}},
		{Options{MinConfidence: 0.5}, []string{"critical", "high", "low"}},
		{Options{MinConfidence: 0.5, MinSeverity: High}, []string{"critical", "high"}},
		{Options{Top: 1}, []string{"critical"}},
	} {
		got := titles(tt.opt)
		if tt.opt == (Options{}) { // where the doubtful one stands is score's affair
			if len(got) != 4 || got[0] != "critical" || got[1] != "high" {
				t.Errorf("%+v: %q", tt.opt, got)
			}
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.opt, got, tt.want)
		}
	}
}

func TestSelect(t *testing.T) {
	list := []*Detector{{Name: "a-b", Family: Locks}, {Name: "c", Family: Locks}, {Name: "d", Family: Growth}}
	tests := []struct {
		only, skip []string
		want       string
	}{
		{nil, nil, "a-b c d"},
		{[]string{"locks"}, nil, "a-b c"},
		{[]string{"locks"}, []string{"c"}, "a-b"},
		{[]string{"c", "growth"}, nil, "c d"},
		{nil, []string{"locks", "growth"}, ""},
		{[]string{"scheduling"}, nil, ""}, // a family of the contract without a detector yet
	}
	for _, tt := range tests {
		got, err := Select(list, tt.only, tt.skip)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, d := range got {
			names = append(names, d.Name)
		}
		if s := strings.Join(names, " "); s != tt.want {
			t.Errorf("only %v skip %v: %q, want %q", tt.only, tt.skip, s, tt.want)
		}
	}
	if _, err := Select(list, nil, []string{"lock"}); err == nil || !strings.Contains(err.Error(), "a-b") {
		t.Errorf("an unknown name must be an error that lists the choices, got %v", err)
	}
}

func TestReportRoundTrip(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rep := NewReport([]*Result{{
		trace:    Trace{Source: "a", Duration: time.Second, StartTime: &start},
		findings: []judged{judgedBy(testDetector, Finding{Cause: "c", Confidence: 0.9, Effect: EffectStops, Title: "t", Groups: []Group{{Role: Holder, Count: 1}}})},
	}}, Options{Version: "v0"})
	data, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("null")) {
		t.Errorf("lists are never null: %s", data)
	}
	back, err := ReadReport(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Errorf("a report changed on its way through JSON:\n%s\n%s", data, again)
	}
	if _, err := ReadReport(strings.NewReader(`{"schema":"other/v9"}`)); err == nil {
		t.Error("another schema must be refused")
	}
}

func TestDocumentation(t *testing.T) {
	d := &Detector{Doc: "// Package x finds a thing. It is good.\n//\n// # What it looks for\n//\n// text\n//\n// more\n//\n// # Repair\n//\n// mend\npackage x\n"}
	if got := d.Synopsis(); got != "finds a thing" {
		t.Errorf("synopsis %q", got)
	}
	if got := d.Section("What it looks for"); got != "text\n\nmore" {
		t.Errorf("section %q", got)
	}
	if got := d.Section("Missing"); got != "" {
		t.Errorf("missing section %q", got)
	}
}

// TestYieldedFindingsAdd: what is not told beside a better finding becomes part of it.
func TestYieldedFindingsAdd(t *testing.T) {
	site := Frame{Func: "main.f", Line: 7}
	best := &Detector{Name: "best", Causes: []Cause{{Name: "c", Cap: High}}}
	other := &Detector{Name: "other", Causes: []Cause{{Name: "c", Cap: High}}, Yields: []string{"best"}}
	list := []judged{
		judgedBy(other, Finding{Cause: "c", Confidence: 0.9, Site: site, Adds: "And why."}),
		judgedBy(best, Finding{Cause: "c", Confidence: 0.9, Site: site, Detail: "They are stuck."}),
		judgedBy(other, Finding{Cause: "c", Confidence: 0.9, Site: Frame{Func: "main.g"}, Detail: "Alone.", Adds: "Not said."}),
	}
	got := merge(list)
	if len(got) != 2 || got[0].Detail != "They are stuck. And why." || got[1].Detail != "Alone." {
		t.Errorf("merged into %+v", got)
	}
	if list[1].Detail != "They are stuck." {
		t.Errorf("merge changed its argument")
	}
}
