package detectors

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a finding is.
type Severity int

const (
	Info     Severity = iota // worth knowing
	Low                      // a smell
	Medium                   // real waste, or a risk
	High                     // users feel it now
	Critical                 // a part of the program cannot go on
)

var severityNames = []string{"info", "low", "medium", "high", "critical"}

// Severities lists the names of all severities, mildest first.
func Severities() []string { return slices.Clone(severityNames) }

// String returns the severity's name; "info" for a value out of range.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return severityNames[Info]
	}
	return severityNames[s]
}

// ParseSeverity returns the severity of that name.
func ParseSeverity(name string) (Severity, error) {
	if i := slices.Index(severityNames, strings.ToLower(name)); i >= 0 {
		return Severity(i), nil
	}
	return 0, fmt.Errorf("unknown severity %q: use one of %s", name, strings.Join(severityNames, ", "))
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}
