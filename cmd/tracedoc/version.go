package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func (t *tool) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of tracedoc, of Go, and the commit",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if _, err := fmt.Fprintln(t.stdout, readBuild()); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("takes no arguments, but got %q", strings.Join(args, " "))
	}
	return nil
}

// build says what this program was built from.
type build struct {
	version string // "devel" unless it was built from a released module
	commit  string // "" if unknown
}

func (b build) String() string {
	commit := "unknown commit"
	if b.commit != "" {
		commit = "commit " + b.commit
	}
	return fmt.Sprintf("tracedoc %s (%s, %s, %s/%s)", b.version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// readBuild reads what the linker noted.
func readBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{version: "devel"}
	}
	return buildFrom(info)
}

func buildFrom(info *debug.BuildInfo) build {
	b := build{version: info.Main.Version}
	if b.version == "" || b.version == "(devel)" {
		b.version = "devel"
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if b.commit != "" && modified {
		b.commit += " with changes"
	}
	return b
}
