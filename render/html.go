package render

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// What the HTML report is made of is built from the sources in html/ and
// committed, so that building this program needs nothing but Go:
//
//	cd render/html && npm ci && npm run build
//
//go:generate npm --prefix html ci
//go:generate npm --prefix html run build

//go:embed html/dist/report.js
var reportScript string

//go:embed html/dist/report.css
var reportStyle string

// maxHTML is how large an HTML report becomes. Of one that would be larger, the
// findings that matter least lose first their pictures and then their stacks, and
// the report says so.
const maxHTML = 2_900_000

// HTML writes the report as one page that needs nothing else: no server, no
// network. All that comes from the trace is in one block of JSON, which the
// page's script shows as text and never as markup; beyond that, the policy in its
// head lets a browser run and load nothing but what stands in the file.
func HTML(w io.Writer, r *detectors.Report, _ Options) error {
	r = clean(r)
	data, err := fitting(r, maxHTML-len(reportScript)-len(reportStyle)-len(withoutScript(r)))
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, document(r, data))
	return err
}

// fitting encodes as much of a report as has room: all, or else of fewer and
// fewer findings, the worst of which have most.
func fitting(r *detectors.Report, room int) ([]byte, error) {
	n := len(r.Findings)
	have := portion{shown: n, stacks: n, pictures: n}
	for some := 128; ; some /= 2 {
		data, err := json.Marshal(newSheet(r, have)) // escapes what might end a script
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		if len(data) <= room || some == 0 {
			return data, nil
		}
		have = portion{shown: min(n, 16*some), stacks: min(n, 2*some), pictures: min(n, some)}
	}
}

// portion is of how many of the findings, from the worst on, an HTML report has what.
type portion struct {
	shown    int // at all
	stacks   int // with all frames, evidence and steps
	pictures int
}

// document puts the page together.
func document(r *detectors.Report, data []byte) string {
	policy := strings.Join([]string{
		"default-src 'none'",
		"script-src " + hashOf(reportScript),
		"style-src " + hashOf(reportStyle),
		"img-src data:", // the empty icon, lest a browser asks a server for one
		"base-uri 'none'",
		"form-action 'none'",
		"require-trusted-types-for 'script'", // no text becomes markup
		"trusted-types 'none'",
	}, "; ")
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
	fmt.Fprintf(&b, "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n", policy)
	b.WriteString("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n")
	b.WriteString("<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n")
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(verdictText(r)+" · tracedoc"))
	fmt.Fprintf(&b, "<style>%s</style>\n</head>\n<body>\n", reportStyle)
	b.WriteString(withoutScript(r))
	fmt.Fprintf(&b, "<script type=\"application/json\" id=\"report\">%s</script>\n", data)
	fmt.Fprintf(&b, "<script>%s</script>\n</body>\n</html>\n", reportScript)
	return b.String()
}

// hashOf names a script or a style in a Content-Security-Policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// maxListed is how many findings are listed where scripts do not run.
const maxListed = 100

// withoutScript is what a reader sees whose browser runs no scripts.
func withoutScript(r *detectors.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<noscript>\n<h1>%s.</h1>\n<p>The pictures and details in this file need JavaScript, which does not run here.</p>\n<ol>\n", html.EscapeString(verdictText(r)))
	for i := range r.Findings[:min(len(r.Findings), maxListed)] {
		f := &r.Findings[i]
		fmt.Fprintf(&b, "<li>%s: %s (%s)</li>\n", f.Severity, html.EscapeString(f.Title), html.EscapeString(f.Site.Where()))
	}
	b.WriteString("</ol>\n")
	if n := len(r.Findings) - maxListed; n > 0 {
		fmt.Fprintf(&b, "<p>… %s</p>\n", count(int64(n), "more finding"))
	}
	b.WriteString("</noscript>\n")
	return b.String()
}
