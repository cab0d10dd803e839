package suite

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
	"github.com/tracedoc/tracedoc/traceload"
)

// TestLimitsChangeNothing checks that a report is the same to the byte however
// many jobs and however much memory an analysis may take. TRACEDOC_SOAK says how
// often to look, and TRACEDOC_SOAK_TRACE at which file besides the recorded traces.
func TestLimitsChangeNothing(t *testing.T) {
	runs := 24
	if text := os.Getenv("TRACEDOC_SOAK"); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			t.Fatalf("TRACEDOC_SOAK=%s: want a number of runs", text)
		}
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "fixtures", "*", "defect", "go1.2[2-6].trace.zst"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d recorded traces (%v)", len(files), err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	files = files[:12]
	if file := os.Getenv("TRACEDOC_SOAK_TRACE"); file != "" {
		files = []string{file}
	}
	report := func(file string, limits traceload.Limits) []byte {
		in, err := traceload.Open(context.Background(), file, traceload.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		res, err := detectors.Analyze(in, All(), detectors.Config{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := render.JSON(&b, detectors.NewReport([]*detectors.Result{res}, detectors.Options{}), render.Options{}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	want := map[string][]byte{}
	for i := range runs {
		file := files[i%len(files)]
		if want[file] == nil {
			want[file] = report(file, traceload.Limits{Jobs: 1, Memory: 1})
		}
		limits := traceload.Limits{Jobs: 1 + random.IntN(8), Memory: 1 + random.Int64N(64<<20)}
		if !bytes.Equal(report(file, limits), want[file]) {
			t.Errorf("%s: another report with %+v", file, limits)
		}
	}
}
