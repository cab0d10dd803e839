package scenes_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "rewrite testdata")

// One scene of a knot and one of a staircase, whole.
func TestGolden(t *testing.T) {
	for _, fixture := range []string{"deadlock-lock-order", "chatty-handoff-per-item"} {
		t.Run(fixture, func(t *testing.T) {
			r := drawn(t, filepath.Join(fixtures, fixture, "defect", "go1.26.trace.zst"))
			if len(r.Findings) == 0 || r.Findings[0].Scene == nil {
				t.Fatal("nothing to draw")
			}
			var got bytes.Buffer
			s := r.Findings[0].Scene
			for _, part := range []any{s.From, s.To, s.Frames} {
				line(t, &got, "", part)
			}
			for _, k := range s.Tracks {
				spans := k.Spans
				k.Spans = nil
				line(t, &got, "track ", k)
				for _, p := range spans {
					line(t, &got, "  ", p)
				}
			}
			for _, w := range s.Wakes {
				line(t, &got, "wake ", w)
			}
			line(t, &got, "left out ", s.LeftOut)
			golden := filepath.Join("testdata", fixture+".golden")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the scene is\n%s\nwhich is not %s; go test ./scenes -update accepts it", got.Bytes(), golden)
			}
		})
	}
}

// What is drawn keeps to the schema of the report.
func TestSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	schema, err := c.Compile(filepath.Join("..", "render", "report.v1.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fixture := range []string{"goroutine-leak-chan-send", "lock-contention-convoy"} {
		data, err := json.Marshal(drawn(t, filepath.Join(fixtures, fixture, "defect", "go1.26.trace.zst")))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Error(err)
		}
		for _, part := range []string{`"scene":{`, `"activity":{`, `"lost":[{`} {
			if !bytes.Contains(data, []byte(part)) {
				t.Errorf("%s: no %s", fixture, part)
			}
		}
	}
}

func line(t *testing.T, b *bytes.Buffer, head string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(head)
	b.Write(data)
	b.WriteByte('\n')
}
