package flight

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newStore(t *testing.T, dir string, keep int, bytes int64) *store {
	t.Helper()
	s, err := openStore(dir, "shop", keep, bytes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func saved(t *testing.T, s *store, cause Cause, data string) Snapshot {
	t.Helper()
	snap := Snapshot{Schema: Schema, Cause: cause, Reason: "a reason"}
	if _, err := s.save(&snap, func(w io.Writer) error { _, err := io.WriteString(w, data); return err }); err != nil {
		t.Fatal(err)
	}
	return snap
}

// names returns what is in a folder and below.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, rel)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestStoreKeepsTheLatest(t *testing.T) {
	dir := t.TempDir()
	others := []string{"shop.trace", "shop-notes.txt", "shop-20261126T055012.123Z-call.trace.bak", "other-20201126T055012.123Z-call.trace", "shop-x-20201126T055012.123Z-call.trace"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t, dir, 3, 1<<20)
	var want []string
	for range 7 {
		snap := saved(t, s, CauseCall, "go 1.26 trace")
		want = append(want, snap.Name)
	}
	list, err := s.list()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, snap := range list {
		got = append(got, snap.Name)
		if snap.Reason != "a reason" || snap.Bytes != 13 {
			t.Errorf("%s: %+v", snap.Name, snap)
		}
	}
	if !slices.Equal(got, want[4:]) {
		t.Errorf("kept %v, want %v", got, want[4:])
	}
	all := names(t, dir)
	if len(all) != 3*2+len(others) {
		t.Errorf("in the folder: %v", all)
	}
	for _, name := range others {
		if !slices.Contains(all, name) {
			t.Errorf("%s is gone: it is somebody else's", name)
		}
	}
}

func TestStoreBoundsBytes(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir, 100, 10_000)
	for range 10 {
		saved(t, s, CauseGrowth, strings.Repeat("x", 2500))
	}
	list, _ := s.list()
	if len(list) != 3 { // and their sidecars
		t.Errorf("%d snapshots of 2500 bytes within 10000", len(list))
	}
	snap := Snapshot{Cause: CauseCall}
	_, err := s.save(&snap, func(w io.Writer) error { _, err := w.Write(make([]byte, 10_001)); return err })
	if err == nil || !strings.Contains(err.Error(), "larger than all snapshots may be together") {
		t.Errorf("a snapshot that is too large: %v", err)
	}
	if list, _ := s.list(); len(list) != 3 {
		t.Errorf("%d snapshots after one that was too large", len(list))
	}
}

func TestStoreFailsCleanly(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir, 10, 1<<20)
	snap := Snapshot{Cause: CauseCall}
	_, err := s.save(&snap, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half of a tr")
		return &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if all := names(t, dir); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
}

func TestStoreCleansUp(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t, dir, 10, 1<<20)
	if err := os.WriteFile(filepath.Join(dir, hidden, "shop-KILLED.tmp"), []byte("half"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shop-20201126T055012.123Z-call.json"), []byte("{}"), 0o640); err != nil { // its trace was taken away
		t.Fatal(err)
	}
	busy, err := s.temp() // of a living process
	if err != nil {
		t.Fatal(err)
	}
	defer busy.discard()
	newStore(t, dir, 10, 1<<20)
	rel, _ := filepath.Rel(dir, busy.path)
	if all := names(t, dir); closeFirst == false && !slices.Equal(all, []string{rel}) {
		t.Errorf("after cleaning up: %v, want %v", all, rel)
	}
	if !busy.there() {
		t.Error("what is being written is gone")
	}
}

func TestStoreCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := openStore(filepath.Join(file, "flights"), "shop", 1, 1)
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "cannot write to the folder for snapshots: not a directory") {
		t.Errorf("a folder within a file: %v", err)
	}
}

func TestSidecar(t *testing.T) {
	dir := t.TempDir()
	snap := saved(t, newStore(t, dir, 10, 1<<20), CauseSlowRequest, "x")
	data, err := os.ReadFile(filepath.Join(dir, snap.Name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Snapshot
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	got.Path = snap.Path
	if got != snap {
		t.Errorf("beside the trace: %+v, want %+v", got, snap)
	}
	if at, err := time.Parse(timeLayout, strings.Split(snap.Name, "-")[1]); err != nil || !at.Equal(snap.Time) {
		t.Errorf("%s: the name says %v, the time is %v", snap.Name, at, snap.Time)
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{"shop": "shop", "my shop/…": "my_shop__", "..": "program", "": "program", ".x": "x", strings.Repeat("n", 100): strings.Repeat("n", 64)} {
		if got := fileName(in); got != want {
			t.Errorf("fileName(%q) = %q, want %q", in, got, want)
		}
	}
}
