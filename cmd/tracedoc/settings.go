package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/config"
	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/gate"
	"github.com/tracedoc/tracedoc/source"
)

// settings are what analyses go by: flags, and below them the configuration.
type settings struct {
	resources
	configFile       string
	failOn           severityOrNever
	failOnIncomplete bool
	minSeverity      severityFlag
	minConfidence    fraction
	only, skip       []string
	sourceDirs       []string
	top              uint
	redact           bool

	config *config.Config // set by load, as the following
	list   []*detectors.Detector
	tree   *source.Tree // nil if no source is to be read
	copies *copies      // of what can be read only once; nil if it need not be read again
}

// redactUsage is the help of --redact.
const redactUsage = "replace names of functions, files, tasks, tests and servers, so that it can be sent outside; the standard library's stay"

// private are texts of the configuration that may get into a report.
func (s *settings) private() []string {
	var texts []string
	for i := range s.config.KnownWaits {
		texts = append(texts, s.config.KnownWaits[i].Why, s.config.KnownWaits[i].Forgot)
	}
	for i := range s.config.Ignores {
		texts = append(texts, s.config.Ignores[i].Reason)
	}
	return texts
}

// configOff is what --config takes instead of a file.
const configOff = "off"

// addFlags defines the flags of settings.
func (s *settings) addFlags(t *tool, cmd *cobra.Command, failing string) {
	def := config.Default()
	s.minSeverity, s.minConfidence = severityFlag(def.MinSeverity), fraction(def.MinConfidence)
	severities := strings.Join(detectors.Severities(), ", ")
	flags := cmd.Flags()
	flags.Var(&s.failOn, "fail-on", "exit with status 1 when "+failing+" this `SEVERITY` or above: "+severities+" (default never)")
	flags.Var(&s.minSeverity, "min-severity", "leave out findings below this `SEVERITY`")
	flags.Var(&s.minConfidence, "min-confidence", "leave out findings that are less sure, from 0 to 1")
	flags.StringSliceVar(&s.only, "only", nil, "use only these `DETECTORS` or families, comma separated")
	flags.StringSliceVar(&s.skip, "skip", nil, "do not use these `DETECTORS` or families, comma separated")
	flags.StringArrayVar(&s.sourceDirs, "source", nil, "look for the program's source in this `DIR`, may be repeated; \""+sourceOff+"\" reads none (default the module of the working directory)")
	flags.StringVar(&s.configFile, "config", "", "configuration `FILE`; \""+configOff+"\" reads none (default "+config.FileName+", looked for upwards from the working directory)")
	s.resources.addFlags(cmd)
	complete := func(flag string, choices []string) {
		// It fails only for a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("fail-on", append(detectors.Severities(), "never"))
	complete("min-severity", detectors.Severities())
	complete("only", t.detectorNames())
	complete("skip", t.detectorNames())
	_ = cmd.MarkFlagDirname("source") // likewise
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// load reads the configuration, which holds where no flag was given, and opens
// what it and the flags name.
func (s *settings) load(t *tool, cmd *cobra.Command) error {
	// What the command line says is checked first: its errors are of its use.
	if _, err := detectors.Select(t.detectors, trimmed(s.only), trimmed(s.skip)); err != nil {
		return err
	}
	c, err := t.readConfig(s.configFile)
	if err != nil {
		return failed(err)
	}
	s.config = c
	unset := func(flag string) bool {
		f := cmd.Flags().Lookup(flag)
		return f == nil || !f.Changed
	}
	if unset("fail-on") {
		if err := s.failOn.Set(c.FailOn); err != nil {
			return failed(fmt.Errorf("%s: %w", c.Origin("fail-on"), err))
		}
	}
	if unset("fail-on-incomplete") {
		s.failOnIncomplete = c.FailOnIncomplete
	}
	if unset("min-severity") {
		s.minSeverity = severityFlag(c.MinSeverity)
	}
	if unset("min-confidence") {
		s.minConfidence = fraction(c.MinConfidence)
	}
	if unset("top") {
		s.top = uint(c.Top)
	}
	if unset("only") && unset("skip") { // a selection on the command line is the whole selection
		s.only, s.skip = c.Only, c.Skip
	}
	if s.list, err = detectors.Select(t.detectors, trimmed(s.only), trimmed(s.skip)); err != nil {
		return failed(err)
	}
	dirs, from := s.sourceDirs, "--source"
	if unset("source") {
		dirs, from = c.Source, c.Origin("source")+": source"
	}
	if s.tree, err = openSource(dirs, from); err != nil { // one for all traces: each file is read once
		return failed(err)
	}
	return nil
}

// readConfig reads the file that was named, or the one that is found.
func (t *tool) readConfig(file string) (*config.Config, error) {
	names := config.Names{Detectors: t.detectors}
	switch file {
	case configOff:
		return config.Default(), nil
	case "":
		return config.Find(".", names)
	}
	return config.Read(file, names)
}

// options are what reports are filtered by.
func (s *settings) options() detectors.Options {
	return detectors.Options{
		Version: readBuild().version, MinSeverity: detectors.Severity(s.minSeverity), MinConfidence: float64(s.minConfidence), Top: int(s.top),
	}
}

// readBaseline reads a baseline.
func readBaseline(path string) (*gate.Baseline, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: cannot read the baseline: %w; --write-baseline makes one", path, reason(err))
	} else if err != nil {
		return nil, fmt.Errorf("%s: cannot read the baseline: %w", path, reason(err))
	}
	defer func() { _ = f.Close() }() // it was only read from
	b, err := gate.ReadBaseline(f)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read the baseline: %w", path, reason(err))
	}
	return b, nil
}

// detectorNames lists what --only and --skip take.
func (t *tool) detectorNames() []string {
	var names []string
	for _, d := range t.detectors {
		names = append(names, d.Name, string(d.Family))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
