package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
)

// trimmed drops blanks around names, and empty names.
func trimmed(names []string) []string {
	var out []string
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}

// severityFlag is a severity as a flag.
type severityFlag detectors.Severity

func (s *severityFlag) String() string { return detectors.Severity(*s).String() }
func (s *severityFlag) Type() string   { return "severity" }
func (s *severityFlag) Set(text string) error {
	v, err := detectors.ParseSeverity(text)
	*s = severityFlag(v)
	return err
}

// severityOrNever is a severity as a flag, or "never", its zero value.
type severityOrNever struct {
	set      bool
	severity detectors.Severity
}

func (s *severityOrNever) Type() string { return "severity" }
func (s *severityOrNever) String() string {
	if s.set {
		return s.severity.String()
	}
	return "" // cobra then shows no default; the help text says never
}

func (s *severityOrNever) Set(text string) (err error) {
	if text == "never" {
		*s = severityOrNever{}
		return nil
	}
	s.severity, err = detectors.ParseSeverity(text)
	s.set = err == nil
	return err
}

// fraction is a number from 0 to 1 as a flag.
type fraction float64

func (f *fraction) String() string { return strconv.FormatFloat(float64(*f), 'g', -1, 64) }
func (f *fraction) Type() string   { return "number" }
func (f *fraction) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) { // NaN is neither
		return errors.New("must be a number from 0 to 1")
	}
	*f = fraction(v)
	return nil
}
