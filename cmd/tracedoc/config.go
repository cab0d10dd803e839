package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tracedoc/tracedoc/config"
)

func (t *tool) configCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that is in force, and where each value comes from",
		Long: `Config prints the configuration that is in force, as YAML, with where each value
comes from. It is read from ` + config.FileName + `, looked for upwards from the working
directory; flags of analyze and diff win over it.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			c, err := t.readConfig(file)
			if err != nil {
				return failed(err)
			}
			if _, err := fmt.Fprint(t.stdout, configText(c)); err != nil {
				return failed(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "read this `FILE`; \""+configOff+"\" reads none")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // it fails only for a flag that does not exist
	return cmd
}

// configText writes a configuration as YAML that reads back the same.
func configText(c *config.Config) string {
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%-24s # %s\n", key+": "+value, c.Origin(key)) }
	list := func(words []string) string {
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, yamlText(w))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	// comment puts where a list or mapping comes from on the line of its key.
	entries := func(key string, n int, write func(i int)) {
		if n == 0 {
			return
		}
		fmt.Fprintf(&b, "%-24s # %s\n", key+":", c.Origin(key))
		for i := range n {
			write(i)
		}
	}
	set("fail-on", c.FailOn)
	set("fail-on-incomplete", fmt.Sprint(c.FailOnIncomplete))
	set("min-severity", c.MinSeverity.String())
	set("min-confidence", fmt.Sprint(c.MinConfidence))
	set("top", fmt.Sprint(c.Top))
	set("only", list(c.Only))
	set("skip", list(c.Skip))
	if len(c.Source) > 0 {
		set("source", list(c.Source))
	} else {
		b.WriteString("# source: the module of the working directory\n")
	}
	if c.Baseline != "" {
		set("baseline", yamlText(c.Baseline))
	}
	entries("severities", len(c.Severities), func(i int) {
		fmt.Fprintf(&b, "  %s: %s\n", c.Severities[i].Of, c.Severities[i].Severity)
	})
	entries("ignores", len(c.Ignores), func(i int) {
		ignore := &c.Ignores[i]
		expires := ""
		if !ignore.Expires.IsZero() {
			expires = ignore.Expires.AddDate(0, 0, -1).Format(time.DateOnly)
			if !time.Now().Before(ignore.Expires) {
				expires += " # has expired"
			}
		}
		yamlEntry(&b, [][2]string{{"detector", yamlText(ignore.Detector)}, {"func", yamlText(ignore.Func)}, {"reason", yamlText(ignore.Reason)}, {"expires", expires}})
	})
	entries("known-waits", len(c.KnownWaits), func(i int) {
		w := &c.KnownWaits[i]
		yamlEntry(&b, [][2]string{{"func", yamlText(w.Func)}, {"wait", yamlText(w.Wait)}, {"reason", yamlText(w.Why)}, {"forgot", yamlText(w.Forgot)}, {"in-use", yamlText(w.InUse)}})
	})
	return b.String()
}

// yamlEntry writes an entry of a list; what has no value is left out.
func yamlEntry(b *strings.Builder, fields [][2]string) {
	lead := "  - "
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(b, "%s%s: %s\n", lead, f[0], f[1])
			lead = "    "
		}
	}
}

// yamlText writes a text so that YAML takes it for one, and a terminal for
// nothing else.
func yamlText(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%+q", s)
}
