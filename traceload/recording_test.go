package traceload

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var rerecord = flag.Bool("record", false, "record the traces in testdata/waits again, with every toolchain")

// TestRecord records testdata/waits with the last release of each toolchain that
// wrote the traces in another way. Generations are a tenth of a second long
// there, so that a small trace has several of them.
func TestRecord(t *testing.T) {
	if !*rerecord {
		t.Skip("go test ./traceload -run '^TestRecord$' -record")
	}
	source, err := os.ReadFile(filepath.Join("testdata", "waits", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range []string{"go1.18.10", "go1.20.14", "go1.21.13", "go1.22.12", "go1.24.6", "go1.25.14", "go1.26.8"} {
		major := release[:len("go1.NN")]
		dir := t.TempDir()
		for name, text := range map[string]string{"main.go": string(source), "go.mod": "module waits\n\ngo 1.18\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		run := func(name string, args ...string) string {
			cmd := exec.Command(name, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+release, "GOWORK=off", "GOMAXPROCS=2", "GODEBUG=traceadvanceperiod=100000000")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %s: %v", release, cmd, err)
			}
			return strings.TrimSpace(string(out))
		}
		command := "go"
		if major < "go1.20" { // those cannot build inside of the module cache, where toolchains live
			root := filepath.Join(dir, "root")
			if err := os.CopyFS(root, os.DirFS(run("go", "env", "GOROOT"))); err != nil {
				t.Fatal(err)
			}
			t.Setenv("GOROOT", root)
			command = filepath.Join(root, "bin", "go")
		}
		run(command, "build", "-trimpath", "-o", "waits", "main.go")
		if err := os.Unsetenv("GOROOT"); err != nil {
			t.Fatal(err)
		}
		run("./waits", "trace")
		data, err := os.ReadFile(filepath.Join(dir, "trace"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
		if err != nil {
			t.Fatal(err)
		}
		packed := z.EncodeAll(data, nil)
		if err := os.WriteFile(filepath.Join("testdata", "waits", major+".trace.zst"), packed, 0o666); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, packed %d", major, len(data), len(packed))
	}
}
