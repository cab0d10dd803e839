package render

import (
	"bytes"
	"io"

	"github.com/tracedoc/tracedoc/detectors"
)

// JSONL writes a line of JSON for each trace, then one for each finding, worst
// first: for logs and for programs that read line by line. An entry is what the
// JSON report has in "traces" and "findings", with its schema and its kind; a
// finding also names its trace. Texts are as formats for people show them, of
// bounded length and without control characters; the JSON report has them as
// they are.
func JSONL(w io.Writer, r *detectors.Report, _ Options) error {
	r = clean(r)
	var b bytes.Buffer
	for i := range r.Traces {
		if err := writeJSON(&b, struct {
			Schema string `json:"schema"`
			Kind   string `json:"kind"`
			*detectors.Trace
		}{r.Schema, "trace", &r.Traces[i]}, false); err != nil {
			return err
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if err := writeJSON(&b, struct {
			Schema      string `json:"schema"`
			Kind        string `json:"kind"`
			TraceSource string `json:"trace_source"`
			*detectors.Finding
		}{r.Schema, "finding", sourceOf(r, f), f}, false); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
