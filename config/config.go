// Package config reads .tracedoc.yaml: what a team wants of tracedoc, kept
// beside its code.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

// FileName is the name that Find looks for.
const FileName = ".tracedoc.yaml"

// Config is what a file says. What it does not say has its default, see Default.
type Config struct {
	Path string // of the file; "" if there is none

	FailOn           string // a severity, or "never"
	FailOnIncomplete bool
	MinSeverity      detectors.Severity
	MinConfidence    float64
	Top              int
	Only, Skip       []string
	Source           []string // folders, absolute; or "off"
	Baseline         string   // absolute; "" if there is none
	Severities       []gate.Grade
	Ignores          []gate.Ignore
	KnownWaits       []detectors.KnownWait

	lines map[string]int // of the keys that the file sets
}

// Default returns what holds without a file.
func Default() *Config {
	return &Config{FailOn: "never", MinSeverity: detectors.Low, MinConfidence: 0.5}
}

// Policy returns what the file decides about findings, without the baseline,
// which is in a file of its own.
func (c *Config) Policy() gate.Policy {
	return gate.Policy{Severities: c.Severities, Ignores: c.Ignores}
}

// Origin says where the value of a key comes from: "/src/shop/.tracedoc.yaml:12",
// or "default".
func (c *Config) Origin(key string) string {
	if line := c.lines[key]; line > 0 {
		return fmt.Sprintf("%s:%d", c.Path, line)
	}
	return "default"
}

// Find looks for a file upwards from a folder, and reads the nearest. names
// are those of the detectors and families that it may mention. Without a file
// it returns Default.
func Find(dir string, names Names) (*Config, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", FileName, err)
	}
	for {
		c, err := Read(filepath.Join(dir, FileName), names)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		up := filepath.Dir(dir)
		if up == dir {
			return Default(), nil
		}
		dir = up
	}
}

// Read reads a file. An error names it, the line and the key.
func Read(path string, names Names) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("%s: larger than %d MB", path, maxSize>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, reason(err))
	}
	c, err := Parse(data, path, names)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// maxSize is more than anybody writes by hand.
const maxSize = 1 << 20

// reason strips the operation and the path from a file error.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Names are what a configuration can mention.
type Names struct {
	Detectors []*detectors.Detector
}

// check tells what is wrong with the name of a detector, a family, or (where
// that is allowed) a cause: "goroutine-leak/select".
func (n Names) check(name string, causes bool) error {
	detector, cause, hasCause := strings.Cut(name, "/")
	var known []string
	for _, f := range detectors.Families() {
		if name == string(f) {
			return nil
		}
		known = append(known, string(f))
	}
	for _, d := range n.Detectors {
		known = append(known, d.Name)
		if d.Name != detector {
			continue
		}
		if !hasCause {
			return nil
		}
		if _, ok := d.Cause(cause); ok && causes {
			return nil
		}
		if !causes {
			return fmt.Errorf("%q names a cause: use the detector %s", name, detector)
		}
		var list []string
		for _, c := range d.Causes {
			list = append(list, c.Name)
		}
		return fmt.Errorf("%s has no cause %q: use one of %s", detector, cause, strings.Join(list, ", "))
	}
	slices.Sort(known)
	return fmt.Errorf("unknown detector or family %q: use one of %s", name, strings.Join(known, ", "))
}
