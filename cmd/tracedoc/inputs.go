package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tracedoc/tracedoc/traceload"
)

// inputs resolves what the user names: a file, a URL or "-" stands for itself, a
// folder for all traces in it and below, and a pattern for the files that match
// it (the shell may have left it to us). A file that is named twice is read once.
func inputs(ctx context.Context, args []string) ([]string, error) {
	var list []string
	for _, arg := range args {
		found, err := resolve(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list, nil
}

func resolve(ctx context.Context, arg string) ([]string, error) {
	if arg == "-" || strings.Contains(arg, "://") {
		return []string{arg}, nil
	}
	switch st, err := os.Stat(arg); {
	case err == nil && st.IsDir():
		found, err := tracesIn(ctx, arg)
		if err != nil {
			return nil, fmt.Errorf("%s: cannot look for traces: %w", arg, reason(err))
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: there is no trace in this folder", arg)
		}
		return found, nil
	case err == nil || !strings.ContainsAny(arg, "*?["):
		return []string{arg}, nil // whether it can be read is told when it is
	}
	matches, err := filepath.Glob(arg)
	if err != nil {
		return nil, fmt.Errorf("%s: not a pattern of file names: %w", arg, err)
	}
	var files []string
	for _, m := range matches {
		if st, err := os.Stat(m); err == nil && !st.IsDir() {
			files = append(files, m)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no file matches", arg)
	}
	return files, nil
}

// tracesIn returns the traces in a folder and below, told by content. Hidden
// folders are left out.
func tracesIn(ctx context.Context, folder string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case d.IsDir() && path != folder && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.Type().IsRegular() && isTrace(ctx, path):
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// isTrace tells whether a file begins as a trace does, packed or not.
func isTrace(ctx context.Context, path string) bool {
	in, err := traceload.Open(ctx, path, traceload.OpenOptions{})
	if err != nil {
		return false
	}
	defer func() { _ = in.Close() }() // it was only read from
	return in.Recognize() == nil
}
