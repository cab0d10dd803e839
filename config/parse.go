package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
)

// Parse reads the text of a file. Relative paths in it are from its folder on.
func Parse(data []byte, path string, names Names) (*Config, error) {
	c := Default()
	c.Path, c.lines = path, map[string]int{}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, syntaxError(path, err)
	}
	if doc.Kind == 0 || doc.Content[0].Tag == "!!null" { // nothing in it
		return c, nil
	}
	p := &parser{config: c, path: path, names: names}
	if err := p.document(doc.Content[0]); err != nil {
		return nil, err
	}
	return c, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

// syntaxError puts the YAML library's error in one line of ours.
func syntaxError(path string, err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s: not YAML: %s", path, m[1], m[2])
	}
	return fmt.Errorf("%s: not YAML: %s", path, strings.TrimPrefix(text, "yaml: "))
}

type parser struct {
	config *Config
	path   string
	names  Names
}

// keys are those of a mapping, in the order in which messages list them.
type keys []struct {
	name string
	set  func(*yaml.Node) error
}

// fail makes an error of a node, which is the value of key.
func (p *parser) fail(n *yaml.Node, key string, err error) error {
	if key != "" {
		key += ": "
	}
	return fmt.Errorf("%s:%d: %s%w", p.path, n.Line, key, err)
}

// mapping hands the values of a mapping to the keys. prefix is the key that it
// is the value of.
func (p *parser) mapping(n *yaml.Node, prefix string, allowed keys) error {
	at := func(key string) string { return strings.TrimPrefix(prefix+"."+key, ".") }
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return p.fail(n, prefix, errors.New("must be a mapping of keys to values"))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		var known []string
		j := -1
		for at, key := range allowed {
			known = append(known, key.name)
			if key.name == k.Value {
				j = at
			}
		}
		if j < 0 {
			return p.fail(k, at(k.Value), fmt.Errorf("unknown key: use one of %s", strings.Join(known, ", ")))
		}
		if seen[k.Value] {
			return p.fail(k, at(k.Value), errors.New("is set twice"))
		}
		seen[k.Value] = true
		if prefix == "" {
			p.config.lines[k.Value] = k.Line
		}
		if v := resolve(v); v.Tag == "!!null" {
			return p.fail(k, at(k.Value), errors.New("has no value"))
		}
		if err := allowed[j].set(v); err != nil {
			var done *placed
			if errors.As(err, &done) {
				return err
			}
			return &placed{p.fail(v, at(k.Value), err)}
		}
	}
	return nil
}

// placed is an error that names its place already.
type placed struct{ err error }

func (e *placed) Error() string { return e.err.Error() }
func (e *placed) Unwrap() error { return e.err }

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func (p *parser) document(n *yaml.Node) error {
	c := p.config
	return p.mapping(n, "", keys{
		{"fail-on", func(n *yaml.Node) error {
			text, err := word(n)
			if err == nil && text != "never" {
				_, err = detectors.ParseSeverity(text)
			}
			c.FailOn = text
			return err
		}},
		{"fail-on-incomplete", func(n *yaml.Node) (err error) { c.FailOnIncomplete, err = boolean(n); return err }},
		{"min-severity", func(n *yaml.Node) (err error) { c.MinSeverity, err = severity(n); return err }},
		{"min-confidence", func(n *yaml.Node) (err error) { c.MinConfidence, err = fraction(n); return err }},
		{"top", func(n *yaml.Node) (err error) { c.Top, err = count(n); return err }},
		{"only", func(n *yaml.Node) (err error) { c.Only, err = p.detectors(n); return err }},
		{"skip", func(n *yaml.Node) (err error) { c.Skip, err = p.detectors(n); return err }},
		{"source", func(n *yaml.Node) error { return p.source(n) }},
		{"baseline", func(n *yaml.Node) error {
			text, err := word(n)
			c.Baseline = p.file(text)
			return err
		}},
		{"severities", p.severities},
		{"ignores", p.ignores},
		{"known-waits", p.knownWaits},
	})
}

// file makes a path absolute, from the folder of the configuration on.
func (p *parser) file(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(p.path), path)
}

func (p *parser) source(n *yaml.Node) error {
	dirs, err := words(n)
	if err != nil {
		return err
	}
	if slices.Contains(dirs, "off") && len(dirs) > 1 {
		return errors.New(`"off" goes with no folder; a folder of that name is ./off`)
	}
	for _, dir := range dirs {
		if dir != "off" {
			dir = p.file(dir)
		}
		p.config.Source = append(p.config.Source, dir)
	}
	return nil
}

func (p *parser) severities(n *yaml.Node) error {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return errors.New("must be a mapping of detectors to severities")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := "severities." + k.Value
		if err := p.names.check(k.Value, true); err != nil {
			return &placed{p.fail(k, key, err)}
		}
		s, err := severity(v)
		if err != nil {
			return &placed{p.fail(v, key, err)}
		}
		p.config.Severities = append(p.config.Severities, gate.Grade{Of: k.Value, Severity: s})
	}
	// What is more precise counts first: a cause, a detector, a family.
	rank := func(g gate.Grade) int {
		switch {
		case strings.Contains(g.Of, "/"):
			return 0
		case slices.Contains(detectors.Families(), detectors.Family(g.Of)):
			return 2
		}
		return 1
	}
	slices.SortStableFunc(p.config.Severities, func(a, b gate.Grade) int { return rank(a) - rank(b) })
	return nil
}

// list hands each entry of a list to add, with its key: "ignores[2]".
func (p *parser) list(n *yaml.Node, key string, add func(*yaml.Node, string) error) error {
	if n = resolve(n); n.Kind != yaml.SequenceNode {
		return errors.New("must be a list")
	}
	for i, entry := range n.Content {
		at := fmt.Sprintf("%s[%d]", key, i+1)
		if err := add(resolve(entry), at); err != nil {
			var done *placed
			if errors.As(err, &done) {
				return err
			}
			return &placed{p.fail(entry, at, err)}
		}
	}
	return nil
}

func (p *parser) ignores(n *yaml.Node) error {
	return p.list(n, "ignores", func(n *yaml.Node, key string) error {
		ignore := gate.Ignore{Origin: fmt.Sprintf("%s:%d", p.path, n.Line)}
		err := p.mapping(n, key, keys{
			{"detector", func(n *yaml.Node) (err error) {
				if ignore.Detector, err = word(n); err == nil {
					err = p.names.check(ignore.Detector, true)
				}
				return err
			}},
			{"func", func(n *yaml.Node) (err error) { ignore.Func, err = word(n); return err }},
			{"reason", func(n *yaml.Node) (err error) { ignore.Reason, err = word(n); return err }},
			{"expires", func(n *yaml.Node) error {
				text, err := word(n)
				if err != nil {
					return err
				}
				last, err := time.Parse(time.DateOnly, text)
				if err != nil {
					return fmt.Errorf("%q is no date such as 2027-01-31", text)
				}
				ignore.Expires = last.AddDate(0, 0, 1) // it holds on its last day
				return nil
			}},
		})
		switch {
		case err != nil:
			return err
		case ignore.Detector == "" && ignore.Func == "":
			return errors.New("names neither a detector nor a func: it would ignore everything")
		case ignore.Reason == "":
			return errors.New("has no reason")
		}
		p.config.Ignores = append(p.config.Ignores, ignore)
		return nil
	})
}

func (p *parser) knownWaits(n *yaml.Node) error {
	return p.list(n, "known-waits", func(n *yaml.Node, key string) error {
		var w detectors.KnownWait
		set := func(to *string) func(*yaml.Node) error {
			return func(n *yaml.Node) (err error) { *to, err = word(n); return err }
		}
		if err := p.mapping(n, key, keys{
			{"func", set(&w.Func)}, {"wait", set(&w.Wait)}, {"reason", set(&w.Why)}, {"forgot", set(&w.Forgot)}, {"in-use", set(&w.InUse)},
		}); err != nil {
			return err
		}
		if err := w.Validate(); err != nil {
			return err
		}
		p.config.KnownWaits = append(p.config.KnownWaits, w)
		return nil
	})
}

func (p *parser) detectors(n *yaml.Node) ([]string, error) {
	list, err := words(n)
	for _, name := range list {
		if err := p.names.check(name, false); err != nil {
			return nil, err
		}
	}
	return list, err
}

// words reads a list of words, or a single one.
func words(n *yaml.Node) ([]string, error) {
	if n = resolve(n); n.Kind == yaml.ScalarNode {
		w, err := word(n)
		return []string{w}, err
	}
	if n.Kind != yaml.SequenceNode {
		return nil, errors.New("must be a word or a list of words")
	}
	list := []string{}
	for _, entry := range n.Content {
		w, err := word(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func word(n *yaml.Node) (string, error) {
	if n = resolve(n); n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" {
		return "", errors.New("must be a text that is not empty")
	}
	return n.Value, nil
}

func severity(n *yaml.Node) (detectors.Severity, error) {
	text, err := word(n)
	if err != nil {
		return 0, err
	}
	return detectors.ParseSeverity(text)
}

func boolean(n *yaml.Node) (bool, error) {
	if n = resolve(n); n.Tag != "!!bool" {
		return false, errors.New("must be true or false")
	}
	return strconv.ParseBool(strings.ToLower(n.Value))
}

func fraction(n *yaml.Node) (float64, error) {
	n = resolve(n)
	v, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || n.Kind != yaml.ScalarNode || !(v >= 0 && v <= 1) { // NaN is neither
		return 0, errors.New("must be a number from 0 to 1")
	}
	return v, nil
}

func count(n *yaml.Node) (int, error) {
	n = resolve(n)
	v, err := strconv.ParseInt(n.Value, 10, 32)
	if err != nil || n.Kind != yaml.ScalarNode || v < 0 || v > math.MaxInt32 {
		return 0, errors.New("must be a whole number from 0 on")
	}
	return int(v), nil
}
