package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (t *tool) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Print a manual page, or write all of them into a folder",
		Long: `Man prints the manual page of tracedoc or of one of its commands, for man(1), or
writes all of them into a folder.`,
		Example: `  tracedoc man analyze | man -l -
  tracedoc man --dir /usr/local/share/man/man1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if dir == "" {
				about, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return fmt.Errorf("no manual page for %q: there is no such command", strings.Join(args, " "))
				}
				if _, err := t.stdout.Write(manPage(about)); err != nil {
					return failed(err)
				}
				return nil
			}
			if len(args) > 0 {
				return fmt.Errorf("--dir takes all pages, but got %q", strings.Join(args, " "))
			}
			var outputs []*output
			for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
				if c == root || c.IsAvailableCommand() {
					path := filepath.Join(dir, manName(c)+".1")
					if err := checkTarget(path); err != nil {
						return failed(fmt.Errorf("%s: cannot write the page: %w", path, err))
					}
					outputs = append(outputs, &output{path: path, data: manPage(c)})
				}
			}
			if err := t.writeAll(outputs); err != nil {
				return failed(err)
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write all pages into this `DIR`")
	_ = cmd.MarkFlagDirname("dir") // it fails only for a flag that does not exist
	return cmd
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes the manual page of a command, in the language of man(7).
func manPage(c *cobra.Command) []byte {
	var b bytes.Buffer
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	text := func(s string) {
		for i, paragraph := range strings.Split(strings.TrimSpace(s), "\n\n") {
			if i > 0 {
				b.WriteString(".PP\n")
			}
			b.WriteString(roff(paragraph) + "\n")
		}
	}
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"tracedoc %s\" \"tracedoc\"\n", roffQuoted(strings.ToUpper(manName(c))), roffQuoted(readBuild().version))
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(manName(c)), roff(lowerFirst(c.Short)))
	section("SYNOPSIS")
	if c.Runnable() && c.HasParent() {
		fmt.Fprintf(&b, "\\fB%s\\fR\n", roff(c.UseLine()))
	} else {
		fmt.Fprintf(&b, "\\fB%s\\fR COMMAND\n", roff(c.CommandPath()))
	}
	section("DESCRIPTION")
	if c.Long != "" {
		text(c.Long)
	} else {
		text(c.Short + ".")
	}
	if c.HasAvailableSubCommands() {
		section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		section("OPTIONS")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name, usage := pflag.UnquoteUsage(f)
			head := "\\fB" + roff("--"+f.Name) + "\\fR"
			if f.Shorthand != "" {
				head = "\\fB" + roff("-"+f.Shorthand) + "\\fR, " + head
			}
			if name != "" {
				head += " \\fI" + roff(name) + "\\fR"
			}
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", head, roff(usage))
		})
	}
	if c.Example != "" {
		section("EXAMPLES")
		fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(c.Example))
	}
	if c.HasParent() {
		section("SEE ALSO")
		fmt.Fprintf(&b, "\\fB%s\\fR(1)\n", roff(manName(c.Parent())))
	}
	return b.Bytes()
}

// roff escapes a text: no character of it begins a request or an escape.
func roff(s string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func roffQuoted(s string) string { return strings.ReplaceAll(roff(s), `"`, `\(dq`) }

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
