package main

import (
	"os"
	"strings"
	"testing"
)

// The example in README.md is what the command printed when the test last ran
// with -update: it stands between these two lines, and begins with the command.
const (
	exampleBegin = "<!-- example:begin -->\n```console\n"
	exampleEnd   = "```\n<!-- example:end -->"
	prompt       = "$ go run ./cmd/tracedoc "
)

func TestReadmeExample(t *testing.T) {
	t.Chdir("../..")
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	before, rest, ok1 := strings.Cut(readme, exampleBegin)
	example, after, ok2 := strings.Cut(rest, exampleEnd)
	command, output, _ := strings.Cut(example, "\n")
	args, ok3 := strings.CutPrefix(command, prompt)
	if !ok1 || !ok2 || !ok3 {
		t.Fatalf("README.md has no example between %q and %q that begins with %q", exampleBegin, exampleEnd, prompt)
	}
	code, stdout, stderr := runTest(strings.Fields(args)...)
	if code != exitDone || stderr != "" {
		t.Fatalf("%s: status %d: %s", command, code, stderr)
	}
	if stdout == output {
		return
	}
	if !*update {
		t.Fatalf("the example in README.md is not what the command prints; run: go test ./cmd/tracedoc -update\ngot:\n%s", stdout)
	}
	if err := os.WriteFile("README.md", []byte(before+exampleBegin+command+"\n"+stdout+exampleEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
