package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/term"

	"github.com/tracedoc/tracedoc/detectors"
	"github.com/tracedoc/tracedoc/render"
)

// request is one report that the user asked for: a format, and the file it goes to.
type request struct {
	format string // "" for the default
	path   string // "" for standard output
}

// requests are what -f and -o asked for. Each -o belongs to the -f beside it:
// "-f sarif -o a.sarif -f markdown -o b.md -f github".
type requests []request

func (r *requests) format() *requestFlag {
	return &requestFlag{list: r, set: func(q *request, v string) bool {
		if q.format != "" {
			return false
		}
		q.format = v
		return true
	}}
}

func (r *requests) path() *requestFlag {
	return &requestFlag{list: r, set: func(q *request, v string) bool {
		if q.path != "" {
			return false
		}
		q.path = v
		return true
	}}
}

// requestFlag is -f or -o as a flag that may be repeated.
type requestFlag struct {
	list *requests
	set  func(*request, string) bool // false if the request has that already
}

func (f *requestFlag) String() string { return "" }
func (f *requestFlag) Type() string   { return "format" }
func (f *requestFlag) Set(v string) error {
	if v == "" {
		return errors.New("must not be empty")
	}
	if n := len(*f.list); n > 0 && f.set(&(*f.list)[n-1], v) {
		return nil
	}
	var q request
	f.set(&q, v)
	*f.list = append(*f.list, q)
	return nil
}

// output is one report on its way to where it goes.
type output struct {
	format  render.Format
	path    string // "" for standard output
	options render.Options
	extra   detectors.Parts // that it carries beyond what its format needs
	data    []byte
}

// shown tells whether the user sees it at once.
func (o *output) shown() bool { return o.path == "" }

// outputsFor prepares what was asked for. What can be known to fail fails here,
// before a long analysis.
func (t *tool) outputsFor(list requests) ([]*output, error) {
	if len(list) == 0 {
		list = requests{{}}
	}
	var outputs []*output
	taken := map[string]bool{}
	for _, q := range list {
		format, err := render.ByName(cmp.Or(q.format, render.FormatNames()[0]))
		if err != nil {
			return nil, err
		}
		o := &output{format: format, path: q.path, options: render.Options{Width: t.columns()}}
		if q.path == "-" {
			o.path = ""
		}
		where := "standard output"
		if o.shown() {
			if _, ok := terminal(t.stdout); ok && format.Binary {
				return nil, fmt.Errorf("the format %s is binary, and standard output is a terminal: give it a file with --output", format.Name)
			}
			o.options = t.screen()
		} else {
			where = filepath.Clean(o.path)
			if err := checkTarget(o.path); err != nil {
				return nil, failed(fmt.Errorf("%s: cannot write the report: %w", o.path, err))
			}
		}
		if taken[where] {
			return nil, fmt.Errorf("two reports cannot both go to %s: give each --format its own --output", where)
		}
		taken[where] = true
		outputs = append(outputs, o)
	}
	return outputs, nil
}

// checkTarget tells why a file cannot be written, as far as that can be known.
func checkTarget(path string) error {
	folder := filepath.Dir(path)
	if st, err := os.Stat(folder); err != nil {
		return reason(err)
	} else if !st.IsDir() {
		return fmt.Errorf("%s is not a directory", folder)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return errors.New("is a directory")
	}
	return nil
}

// writeAll writes all outputs and further files, or none: first each file under
// another name beside its place, then standard output, and when nothing can fail
// any more but the renaming, each file goes to its place.
func (t *tool) writeAll(outputs []*output, extra ...file) error {
	var staged []*stagedFile
	defer func() {
		for _, s := range staged {
			s.discard()
		}
	}()
	stage := func(path string, data []byte) error {
		s, err := newStagedFile(path, data)
		if err != nil {
			return fmt.Errorf("%s: cannot write the report: %w", path, reason(err))
		}
		staged = append(staged, s)
		return nil
	}
	for _, o := range outputs {
		if !o.shown() {
			if err := stage(o.path, o.data); err != nil {
				return err
			}
		}
	}
	for _, f := range extra {
		if err := stage(f.path, f.data); err != nil {
			return err
		}
	}
	for _, o := range outputs {
		if o.shown() {
			if _, err := t.stdout.Write(o.data); err != nil {
				return fmt.Errorf("cannot write to standard output: %w", err)
			}
		}
	}
	for i, s := range staged {
		if err := s.commit(); err != nil {
			for _, done := range staged[:i] {
				done.undo()
			}
			return fmt.Errorf("%s: cannot write the report: %w", s.asked, reason(err))
		}
	}
	return nil
}

// file is a file to be written.
type file struct {
	path string
	data []byte
}

// stagedFile is a file that is written but not in its place yet.
type stagedFile struct {
	asked    string // the path as the user gave it
	path     string // where it goes
	temp     string // where it is; "" if it cannot be staged, or is in its place
	data     []byte // of what cannot be staged
	replaces bool   // there is a file in its place
	backup   string // a second name of that file; "" if there was none
	placed   bool
}

// newStagedFile writes data beside its place. The permissions of a file that is
// to be replaced are kept, and links to it stay. What is no regular file (a
// device, a pipe) cannot be replaced and will be written to directly.
func newStagedFile(path string, data []byte) (*stagedFile, error) {
	s := &stagedFile{asked: path, path: path}
	perm := fs.FileMode(0o666) // as os.Create: the umask applies
	switch st, err := os.Stat(path); {
	case err == nil && !st.Mode().IsRegular():
		if st.IsDir() {
			return nil, errors.New("is a directory")
		}
		s.data = data
		return s, nil
	case err == nil:
		perm, s.replaces = st.Mode().Perm(), true
		if target, err := filepath.EvalSymlinks(path); err == nil {
			s.path = target // replace the file, not the link to it
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	s.temp = s.beside()
	err := writeTo(s.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm, data)
	if err == nil && s.replaces {
		err = os.Chmod(s.temp, perm)
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *stagedFile) beside() string {
	return filepath.Join(filepath.Dir(s.path), ".tracedoc-"+rand.Text())
}

// commit puts the file in its place.
func (s *stagedFile) commit() error {
	if s.temp == "" {
		return writeTo(s.path, os.O_WRONLY, 0, s.data)
	}
	if backup := s.beside(); os.Link(s.path, backup) == nil { // else there is none, or the file system has no links
		s.backup = backup
	}
	if err := os.Rename(s.temp, s.path); err != nil {
		return err
	}
	s.temp, s.placed = "", true
	return nil
}

// undo takes commit back, as far as it can.
func (s *stagedFile) undo() {
	switch {
	case !s.placed:
	case s.backup != "":
		if os.Rename(s.backup, s.path) == nil {
			s.backup = ""
		}
	case !s.replaces:
		_ = os.Remove(s.path)
	}
}

// discard removes what is not in its place.
func (s *stagedFile) discard() {
	for _, name := range []string{s.temp, s.backup} {
		if name != "" {
			_ = os.Remove(name) // the first error is the one to tell
		}
	}
}

func writeTo(path string, flag int, perm fs.FileMode, data []byte) error {
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && perm != 0 {
		err = f.Sync() // before it takes another file's place
	}
	return errors.Join(err, f.Close())
}

// reason strips the operation and the path, which the user knows, from a file error.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}

// screen says how to write to standard output.
func (t *tool) screen() render.Options {
	fd, ok := terminal(t.stdout)
	if !ok {
		return render.Options{Width: t.columns()}
	}
	opt := render.Options{Width: t.columns(), Color: t.env("NO_COLOR") == "" && t.env("TERM") != "dumb"}
	if w, _, err := term.GetSize(fd); err == nil && w > 0 {
		opt.Width = w
	}
	return opt
}

// columns is the width of what is no terminal: $COLUMNS where it is set.
func (t *tool) columns() int {
	if n, err := strconv.Atoi(t.env("COLUMNS")); err == nil && n > 0 && n <= 1000 {
		return n
	}
	return render.DefaultWidth
}

// terminal tells whether w is a terminal, and its file descriptor.
func terminal(w io.Writer) (fd int, ok bool) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}
