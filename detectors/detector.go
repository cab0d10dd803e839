// Package detectors holds the contract between tracedoc's detectors (one
// package each, below this folder) and everything else: what a detector is,
// what it reports, and how reports are ranked. The list of detectors is in
// package suite.
package detectors

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tracedoc/tracedoc/detectors/internal/patterns"
	"github.com/tracedoc/tracedoc/traceload"
)

// Detector is the constant description of a detector. A room exports exactly
// one, named Detector.
type Detector struct {
	// Name is what users type: "goroutine-leak". The room's folder and package
	// are the name without dashes.
	Name   string
	Family Family
	// Doc is the room's doc.go, embedded. Its package comment has four
	// headings: What it looks for, How it decides, What it cannot see, Repair.
	Doc    string
	Causes []Cause
	// Watches is the kinds of event that the observer is to see. It may ask for more
	// later on (Pass.Watch).
	Watches traceload.Kinds
	// Of KindBlock and KindUnblock it sees those of waits of these kinds; none stands for
	// all. Most of what happens in a busy program is waits, and most observers have
	// nothing to do with some of them.
	Begins, Ends traceload.Waits
	// Yields names detectors that explain more: a finding of this one is
	// dropped where a finding of theirs explains the same line.
	Yields []string
	// New is called once per walk.
	New func(*Pass) Observer
}

// Cause is one thing that a detector can find.
type Cause struct {
	Name    string
	Pattern string   // id of the repair in internal/patterns
	Others  []string // ids of further repairs, of which a finding may choose one (Finding.Repair)
	Cap     Severity // the worst that a finding of this cause can be
}

// Patterns returns the ids of all repairs that findings of the cause may suggest.
func (c *Cause) Patterns() []string { return append([]string{c.Pattern}, c.Others...) }

// Observer is the state of a detector, or of a fact, during one walk.
//
// Observers are fed on several processors at a time, and what two of them write at
// every event must not share a cache line: that alone would make the walk half as
// fast. So each begins and ends with a cpu.CacheLinePad.
type Observer interface {
	// Observe is called for each watched event, in order of time.
	Observe(*traceload.Program, *traceload.Event)
	// Finish is called once after the last event, also when the trace broke off.
	Finish(*traceload.Program)
}

// Cause returns the cause of that name.
func (d *Detector) Cause(name string) (Cause, bool) {
	for _, c := range d.Causes {
		if c.Name == name {
			return c, true
		}
	}
	return Cause{}, false
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Headings are the sections of every detector's documentation.
var Headings = []string{"What it looks for", "How it decides", "What it cannot see", "Repair"}

// Validate checks descriptors for mistakes that a compiler does not see.
func Validate(list []*Detector) error {
	seen := map[string]bool{}
	for _, d := range list {
		switch {
		case !namePattern.MatchString(d.Name):
			return fmt.Errorf("detector %q: the name must be lower-case words joined by dashes", d.Name)
		case seen[d.Name]:
			return fmt.Errorf("detector %s: listed twice", d.Name)
		case d.Family == "":
			return fmt.Errorf("detector %s: has no family", d.Name)
		case d.New == nil:
			return fmt.Errorf("detector %s: has no constructor", d.Name)
		case len(d.Causes) == 0:
			return fmt.Errorf("detector %s: has no causes", d.Name)
		}
		seen[d.Name] = true
		if d.Synopsis() == "" {
			return fmt.Errorf("detector %s: its doc.go has no package comment", d.Name)
		}
		for _, h := range Headings {
			if strings.TrimSpace(d.Section(h)) == "" {
				return fmt.Errorf("detector %s: its doc.go lacks the section %q", d.Name, h)
			}
		}
		for _, c := range d.Causes {
			if !namePattern.MatchString(c.Name) {
				return fmt.Errorf("detector %s: cause %q: the name must be lower-case words joined by dashes", d.Name, c.Name)
			}
			for _, id := range c.Patterns() {
				if !patterns.Has(id) {
					return fmt.Errorf("detector %s: cause %s: no pattern %q", d.Name, c.Name, id)
				}
			}
		}
	}
	for _, d := range list {
		for _, y := range d.Yields {
			if !namePattern.MatchString(y) || y == d.Name {
				return fmt.Errorf("detector %s: yields to %q, which is no other detector's name", d.Name, y)
			}
		}
	}
	return nil
}

// Text returns the package comment of the room's doc.go: the help text.
func (d *Detector) Text() string {
	var lines []string
	for line := range strings.Lines(d.Doc) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "//")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimPrefix(text, " "))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// Synopsis is the first sentence of the help text without the package's name:
// one line for a table.
func (d *Detector) Synopsis() string {
	first, _, _ := strings.Cut(d.Text(), "\n\n")
	first = strings.Join(strings.Fields(first), " ")
	if rest, ok := strings.CutPrefix(first, "Package "); ok {
		_, first, _ = strings.Cut(rest, " ")
	}
	if s, _, ok := strings.Cut(first, ". "); ok {
		return s
	}
	return strings.TrimSuffix(first, ".")
}

// Section returns the text under one of Headings, "" if it is missing.
func (d *Detector) Section(heading string) string {
	_, rest, ok := strings.Cut("\n"+d.Text()+"\n", "\n# "+heading+"\n")
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, "\n# ")
	return strings.TrimSpace(text)
}
