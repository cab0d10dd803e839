package flight

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// store is the folder of the snapshots. What is in it is whole: files are written
// in a hidden folder of it and then moved.
//
//	shop-20261126T055012.123Z-slow-request.trace
//	shop-20261126T055012.123Z-slow-request.json   its Snapshot
//	.tracedoc-flight/shop-….tmp                   being written, by whoever has locked it
type store struct {
	dir, name string
	keep      int
	bytes     int64
	ours      *regexp.Regexp
}

const (
	hidden     = ".tracedoc-flight"
	traceExt   = ".trace"
	sidecarExt = ".json"
	tempExt    = ".tmp"
	timeLayout = "20060102T150405.000Z"
)

func openStore(dir, name string, keep int, bytes int64) (*store, error) {
	s := &store{dir: dir, name: name, keep: keep, bytes: bytes}
	s.ours = regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `-(\d{8}T\d{6}\.\d{3}Z)-([a-z-]+)(\.trace|\.json)$`)
	probe, err := s.temp()
	if err != nil {
		return nil, fmt.Errorf("flight: %s: cannot write to the folder for snapshots: %w", dir, reason(err))
	}
	probe.discard()
	s.sweep()
	_, err = s.prune()
	return s, err
}

// save has write write a trace, puts it and what is known of it into the folder,
// and removes old ones. It is for one goroutine at a time.
func (s *store) save(snap *Snapshot, write func(io.Writer) error) (removed int, err error) {
	begin := time.Now()
	trace, err := s.write(func(w io.Writer) error {
		bounded := &boundedWriter{w: w, left: s.bytes}
		err := write(bounded)
		snap.Bytes = s.bytes - bounded.left
		return err
	})
	if err != nil {
		return 0, err
	}
	defer trace.discard()
	snap.Time = time.Now().UTC().Truncate(time.Millisecond)
	for {
		snap.Name = fmt.Sprintf("%s-%s-%s", s.name, snap.Time.Format(timeLayout), snap.Cause)
		snap.Path = filepath.Join(s.dir, snap.Name+traceExt)
		if _, err := os.Lstat(snap.Path); err != nil {
			break
		}
		snap.Time = snap.Time.Add(time.Millisecond)
	}
	snap.Took = time.Since(begin)
	if err := trace.move(snap.Path); err != nil {
		return 0, err
	}
	s.describe(snap)
	s.sweep()
	return s.prune()
}

// describe puts what is known of a snapshot beside it. Where that fails the trace is
// still worth having, and its name says the most important.
func (s *store) describe(snap *Snapshot) {
	t, err := s.write(func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(snap)
	})
	if err == nil {
		defer t.discard()
		_ = t.move(filepath.Join(s.dir, snap.Name+sidecarExt))
	}
}

// write has f write a temporary file, all of it down to the disk.
func (s *store) write(f func(io.Writer) error) (*temp, error) {
	t, err := s.temp()
	if err != nil {
		return nil, err
	}
	err = f(t.file)
	if err == nil {
		err = t.file.Sync()
	}
	if err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// temp is a file that is being written. It stays open, and locked, until it has
// its place, so that others can tell it from one whose writer was killed.
type temp struct {
	file *os.File
	path string // "" when it has its place
}

func (s *store) temp() (*temp, error) {
	if err := os.MkdirAll(filepath.Join(s.dir, hidden), 0o750); err != nil { // somebody may have tidied up
		return nil, err
	}
	for {
		path := filepath.Join(s.dir, hidden, s.name+"-"+rand.Text()+tempExt)
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return nil, err
		}
		t := &temp{file, path}
		lock(file)
		if t.there() {
			return t, nil
		}
		t.discard() // somebody swept it before it was locked
	}
}

// there tells whether the file is still what its path leads to.
func (t *temp) there() bool {
	here, err := t.file.Stat()
	if err != nil {
		return false
	}
	st, err := os.Lstat(t.path)
	return err == nil && os.SameFile(here, st)
}

func (t *temp) move(path string) error {
	if closeFirst { // Windows moves no open file
		_ = t.file.Close() // what it holds is on the disk
	}
	if err := os.Rename(t.path, path); err != nil {
		return err
	}
	t.path = ""
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync() // not all file systems can; the file is whole in any case
		_ = d.Close()
	}
	return nil
}

// discard ends what move has not put in its place.
func (t *temp) discard() {
	if t.path != "" {
		_ = os.Remove(t.path)
		t.path = ""
	}
	_ = t.file.Close() // a second time after move on Windows
}

// sweep removes what killed processes have left unfinished.
func (s *store) sweep() {
	entries, err := os.ReadDir(filepath.Join(s.dir, hidden))
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), tempExt) {
			removeAbandoned(filepath.Join(s.dir, hidden, e.Name()))
		}
	}
}

// list returns the snapshots in the folder, the oldest first.
func (s *store) list() ([]Snapshot, error) {
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	list := []Snapshot{}
	for _, f := range files {
		if f.ext != traceExt {
			continue
		}
		snap := Snapshot{}
		if data, err := readSmall(f.path(s.dir, sidecarExt)); err == nil {
			_ = json.Unmarshal(data, &snap) // what is missing there is in the name
		}
		snap.Name, snap.Path, snap.Time, snap.Cause, snap.Bytes = f.name, f.path(s.dir, traceExt), f.time, f.cause, f.bytes
		list = append(list, snap)
	}
	return list, nil
}

// storedFile is a file of this store's in the folder.
type storedFile struct {
	name, ext string
	time      time.Time
	cause     Cause
	bytes     int64
}

func (f *storedFile) path(dir, ext string) string { return filepath.Join(dir, f.name+ext) }

// files returns what is in the folder, the oldest first.
func (s *store) files() ([]storedFile, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("flight: %s: cannot list the snapshots: %w", s.dir, reason(err))
	}
	var files []storedFile
	for _, e := range entries {
		m := s.ours.FindStringSubmatch(e.Name())
		if m == nil || !e.Type().IsRegular() {
			continue
		}
		at, err := time.Parse(timeLayout, m[1])
		if err != nil {
			continue
		}
		st, err := e.Info()
		if err != nil { // another process has removed it meanwhile
			continue
		}
		files = append(files, storedFile{strings.TrimSuffix(e.Name(), m[3]), m[3], at, Cause(m[2]), st.Size()})
	}
	slices.SortStableFunc(files, func(a, b storedFile) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name)) })
	return files, nil
}

// prune removes the oldest snapshots that are too many, and returns how many.
func (s *store) prune() (removed int, err error) {
	files, err := s.files()
	if err != nil {
		return 0, err
	}
	traces := map[string]bool{}
	n, bytes := 0, int64(0)
	for _, f := range files {
		bytes += f.bytes
		if f.ext == traceExt {
			n++
			traces[f.name] = true
		}
	}
	for _, f := range files {
		switch {
		case f.ext == sidecarExt && !traces[f.name]: // somebody has taken the trace away
			_ = os.Remove(f.path(s.dir, sidecarExt))
		case f.ext == traceExt && n > 1 && (n > s.keep || bytes > s.bytes):
			_ = os.Remove(f.path(s.dir, sidecarExt)) // first: a trace without it is still told by its name
			if err := os.Remove(f.path(s.dir, traceExt)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return removed, fmt.Errorf("flight: %s: cannot remove an old snapshot: %w", s.dir, reason(err))
			}
			n--
			bytes -= f.bytes
			removed++
		}
	}
	return removed, nil
}

// readSmall reads a file that should be small.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read from
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// boundedWriter fails before it would write too much.
type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errors.New("the trace is larger than all snapshots may be together: raise KeepBytes or lower WindowBytes")
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	return n, err
}

// fileName makes a word that can begin a file's name.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	return cmp.Or(strings.TrimLeft(s[:min(len(s), 64)], "."), "program")
}

// reason strips what the user knows from a file error.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	if le := (*os.LinkError)(nil); errors.As(err, &le) {
		return le.Err
	}
	return err
}
