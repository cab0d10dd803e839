package main

import (
	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/render"
)

func (t *tool) detectorsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "detectors",
		Short:             "List the detectors",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if err := render.List(t.stdout, t.detectors, t.screen()); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}
