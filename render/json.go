package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tracedoc/tracedoc/detectors"
)

// JSON writes the report in its schema's form, see report.v1.schema.json.
// detectors.ReadReport reads it back without loss, except that bytes which are
// not UTF-8 become U+FFFD.
func JSON(w io.Writer, r *detectors.Report, _ Options) error { return writeJSON(w, r, true) }

// writeJSON writes a value that encodes to JSON, in one line or indented.
func writeJSON(w io.Writer, v any, indent bool) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	if indent {
		enc.SetIndent("", "  ")
	}
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	_, err := w.Write(escapeUnprintable(buf.Bytes()))
	return err
}

// escapeUnprintable writes the characters of encoded JSON that a terminal
// might obey or hide (C1 controls, bidirectional overrides, zero-width ones), and
// the two that begin a command in the log of a CI job (##[…]), as \u escapes.
// They can only stand in strings, where both forms mean the same.
func escapeUnprintable(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '#' && bytes.HasPrefix(data, []byte("##")):
			out = append(out, `\u0023`...)
		case r == '\n' || visible(r):
			out = append(out, data[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[n:]
	}
	return out
}
