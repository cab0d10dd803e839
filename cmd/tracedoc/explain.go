package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
)

func (t *tool) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain DETECTOR",
		Short:   "What a detector looks for, how it decides, its limits, and the repairs it suggests",
		Example: "  tracedoc explain goroutine-leak",
		Args:    oneArgument("a detector", t.names()),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return t.names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := t.detector(args[0])
			if err != nil {
				return err
			}
			if err := render.Explain(t.stdout, d, t.screen()); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}

// names lists the names of all detectors.
func (t *tool) names() []string {
	var names []string
	for _, d := range t.detectors {
		names = append(names, d.Name)
	}
	return names
}

func (t *tool) detector(name string) (*detectors.Detector, error) {
	for _, d := range t.detectors {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("unknown detector %q: use one of %s", name, strings.Join(t.names(), ", "))
}

// oneArgument wants exactly one argument and says what it can be.
func oneArgument(what string, choices []string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("name %s: one of %s", what, strings.Join(choices, ", "))
		case len(args) > 1:
			return fmt.Errorf("name only one: %q is too much", strings.Join(args[1:], " "))
		}
		return nil
	}
}
