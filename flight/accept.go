package flight

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tracedoc/tracedoc/render"
)

const (
	typeText   = "text/plain; charset=utf-8"
	typeJSON   = "application/json"
	typeHTML   = "text/html; charset=utf-8"
	typeBinary = "application/octet-stream"
)

// types are the media types of formats; all others are text, or binary.
var types = map[string]string{
	"text":     typeText,
	"json":     typeJSON,
	"html":     typeHTML,
	"jsonl":    "application/jsonl",
	"sarif":    "application/sarif+json",
	"gitlab":   typeJSON,
	"junit":    "application/xml",
	"markdown": "text/markdown; charset=utf-8",
}

// format returns the format that the request wants: what ?format= says, or the one
// of HTML, JSON and text that Accept likes best.
func (a *answer) format() (render.Format, string, error) {
	name := a.query.Get("format")
	if name != "" {
		f, err := render.ByName(name)
		if err != nil {
			return f, "", status(http.StatusBadRequest, "%w, or %s", err, formatTrace)
		}
		kind, ok := types[name]
		switch {
		case f.Binary:
			kind = typeBinary
		case !ok:
			kind = typeText
		}
		return f, kind, nil
	}
	var offers []string
	byType := map[string]render.Format{}
	for _, name := range []string{"text", "json", "html"} { // the first is for whoever takes anything
		if f, err := render.ByName(name); err == nil {
			offers = append(offers, types[name])
			byType[types[name]] = f
		}
	}
	kind, err := a.kind(offers)
	return byType[kind], kind, err
}

// kind returns which of the offered media types the request likes best.
func (a *answer) kind(offers []string) (string, error) {
	if best := negotiate(a.req.Header.Values("Accept"), offers); best != "" {
		return best, nil
	}
	return "", status(http.StatusNotAcceptable, "this can be had as %s", strings.Join(offers, ", "))
}

// negotiate returns the offer that Accept (RFC 9110, 12.5.1) likes best, the
// first of several that it likes equally, "" if it takes none.
func negotiate(accept []string, offers []string) string {
	if len(strings.TrimSpace(strings.Join(accept, ""))) == 0 {
		return offers[0]
	}
	best, most := "", 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > most {
			best, most = offer, q
		}
	}
	return best
}

// quality returns how much Accept likes a media type: what its most specific range
// for it says.
func quality(accept []string, offer string) float64 {
	offer, _, _ = strings.Cut(offer, ";")
	top, _, _ := strings.Cut(offer, "/")
	ranges := []string{"*/*", top + "/*", offer}
	found, q := -1, 0.0
	for _, field := range accept {
		for part := range strings.SplitSeq(field, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			if i := slices.Index(ranges, name); i > found {
				found, q = i, 1
				if v, ok := params["q"]; ok {
					if q, err = strconv.ParseFloat(v, 64); err != nil || q < 0 || q > 1 {
						q = 0
					}
				}
			}
		}
	}
	return q
}
