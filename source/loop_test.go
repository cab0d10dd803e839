package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoop(t *testing.T) {
	const program = `package main

func once() { pause() } // none

func counts(n int) {
	for i := 0; i < n; i++ {
		pause() // counts
	}
	for range n {
		pause() // counts
	}
}

func paces(ctx interface{ Err() error }) error {
	for ctx.Err() == nil {
		pause() // paces
	}
	for {
		if err := work(); err != nil {
			return err
		}
		pause() // paces
	}
}

func looks(done func() bool, queue func() (int, bool)) {
	for !done() {
		pause() // looks
	}
	for {
		if done() {
			break
		}
		pause() // looks
	}
	for {
		v, ok := queue()
		if !ok {
			pause() // looks
			continue
		}
		_ = v
		func() {
			pause() // none
		}()
	}
}

func skips(ctx interface{ Done() chan int }, queue func() bool, tick chan int) {
	for {
		if queue() {
			continue
		}
		pause() // looks
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			if queue() {
				return
			}
		}
		pause() // looks
	}
	for {
		select {
		case <-ctx.Done():
			if queue() {
				return
			}
		case <-tick:
		}
		pause() // paces
	}
}

func stops(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			pause() // paces
		}
	}
}

func drains(c chan int) {
	for {
		select {
		case <-c:
		default:
			pause() // looks
		}
	}
}

func pause() {}
func work() error { return nil }
func main() {}
`
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n", "main.go": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]Loop{"none": LoopNone, "counts": LoopCounts, "paces": LoopPaces, "looks": LoopLooks}
	checked := 0
	for i, line := range strings.Split(program, "\n") {
		_, want, ok := strings.Cut(line, "pause() // ")
		if !ok {
			_, want, ok = strings.Cut(line, "} // ")
		}
		if !ok {
			continue
		}
		checked++
		got, known := tree.Loop(filepath.Join(dir, "main.go"), i+1)
		if !known || got != words[want] {
			t.Errorf("line %d, %s: got %d, %v", i+1, strings.TrimSpace(line), got, known)
		}
	}
	if checked != 14 {
		t.Errorf("%d lines checked, want 14", checked)
	}
	if _, known := tree.Loop(filepath.Join(dir, "none.go"), 3); known {
		t.Error("a file that is not there has a loop")
	}
}
