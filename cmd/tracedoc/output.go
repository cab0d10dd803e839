package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/term"

	"github.com/tracedoc/tracedoc/render"
)

// output is where a report goes.
type output struct {
	options render.Options
	shown   bool // it goes to standard output, where the user sees it
	write   func([]byte) error
}

// outputFor prepares for writing to a file, or to standard output for "" or
// "-". What can be known to fail fails here, before a long analysis.
func (t *tool) outputFor(path string) (*output, error) {
	if path == "" || path == "-" {
		return &output{options: t.screen(), shown: true, write: func(data []byte) error {
			if _, err := t.stdout.Write(data); err != nil {
				return fmt.Errorf("cannot write to standard output: %w", err)
			}
			return nil
		}}, nil
	}
	folder := filepath.Dir(path)
	if st, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("%s: cannot write the report: %w", path, reason(err))
	} else if !st.IsDir() {
		return nil, fmt.Errorf("%s: cannot write the report: %s is not a directory", path, folder)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s: cannot write the report: is a directory", path)
	}
	return &output{options: render.Options{Width: t.columns()}, write: func(data []byte) error {
		if err := writeWhole(path, data); err != nil {
			return fmt.Errorf("%s: cannot write the report: %w", path, reason(err))
		}
		return nil
	}}, nil
}

// writeWhole writes a file so that it has either its former content or all of
// data: under another name in the same folder first. The permissions of a file
// that is replaced are kept. What is no regular file (a device, a pipe) cannot
// be replaced and is written to directly.
func writeWhole(path string, data []byte) error {
	perm, replaced := fs.FileMode(0o666), false // as os.Create: the umask applies
	switch st, err := os.Stat(path); {
	case err == nil && !st.Mode().IsRegular():
		return writeTo(path, os.O_WRONLY, 0, data)
	case err == nil:
		perm, replaced = st.Mode().Perm(), true
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target // replace the file, not the link to it
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp := filepath.Join(filepath.Dir(path), ".tracedoc-"+rand.Text())
	err := writeTo(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm, data)
	if err == nil && replaced {
		err = os.Chmod(temp, perm)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // the first error is the one to tell
	}
	return err
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
