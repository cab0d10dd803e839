package gate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// BaselineSchema is the name of a baseline's JSON schema. It changes only by adding.
const BaselineSchema = "tracedoc/baseline/v1"

// Baseline lists the findings that are known already.
type Baseline struct {
	Schema   string         `json:"schema"`
	Tool     detectors.Tool `json:"tool"`
	Findings []Known        `json:"findings"`
}

// Known is a known finding. Only the fingerprint and the line decide; the rest is
// for whoever reads the file.
type Known struct {
	Fingerprint string             `json:"fingerprint"`
	Detector    string             `json:"detector"`
	Cause       string             `json:"cause"`
	Severity    detectors.Severity `json:"severity"`
	Func        string             `json:"func"`
	Line        int                `json:"line"`
	Title       string             `json:"title"`
}

// NewBaseline makes a baseline of all that a report holds.
func NewBaseline(r *detectors.Report) *Baseline {
	b := &Baseline{Schema: BaselineSchema, Tool: r.Tool, Findings: []Known{}}
	for i := range r.Findings {
		f := &r.Findings[i]
		b.Findings = append(b.Findings, Known{f.Fingerprint, f.Detector, f.Cause, f.Severity, f.Site.Func, f.Site.Line, f.Title})
	}
	b.sort()
	return b
}

// Add adds what another baseline knows and this one does not.
func (b *Baseline) Add(other *Baseline) {
	have := map[string]int{}
	for _, k := range b.Findings {
		have[k.Fingerprint]++
	}
	for _, k := range other.Findings {
		if have[k.Fingerprint]--; have[k.Fingerprint] < 0 {
			b.Findings = append(b.Findings, k)
		}
	}
	b.sort()
}

// sort orders the findings so that a change in the file is a change in them.
func (b *Baseline) sort() {
	slices.SortFunc(b.Findings, func(a, c Known) int {
		return cmp.Or(strings.Compare(a.Detector, c.Detector), strings.Compare(a.Cause, c.Cause), strings.Compare(a.Func, c.Func), cmp.Compare(a.Line, c.Line), strings.Compare(a.Fingerprint, c.Fingerprint))
	})
}

// Encode returns the baseline as a file holds it.
func (b *Baseline) Encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encoding the baseline: %w", err)
	}
	return buf.Bytes(), nil
}

// ReadBaseline reads a baseline, or takes a JSON report for one.
func ReadBaseline(r io.Reader) (*Baseline, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var b Baseline
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("not a baseline: %w", err)
	}
	switch b.Schema {
	case BaselineSchema:
		return &b, nil
	case detectors.Schema:
		rep, err := detectors.ReadReport(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return NewBaseline(rep), nil
	}
	return nil, fmt.Errorf("not a baseline: schema %q, expected %q", b.Schema, BaselineSchema)
}

// knows tells which findings are known. Where one was known, a second one in the
// same function is new: those at a known line count as known first, then the
// worst, since lines may have moved.
func (b *Baseline) knows(list []detectors.Finding) []bool {
	left := map[string][]int{} // the lines of what is known, by fingerprint
	for _, k := range b.Findings {
		left[k.Fingerprint] = append(left[k.Fingerprint], k.Line)
	}
	known := make([]bool, len(list))
	for _, exact := range []bool{true, false} {
		for i := range list {
			f := &list[i]
			lines := left[f.Fingerprint]
			at := slices.Index(lines, f.Site.Line)
			if known[i] || len(lines) == 0 || exact && at < 0 {
				continue
			}
			known[i] = true
			left[f.Fingerprint] = slices.Delete(lines, max(at, 0), max(at, 0)+1)
		}
	}
	return known
}
