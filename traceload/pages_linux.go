package traceload

import (
	"errors"
	"os"
	"syscall"
)

// wantLargePages asks for large pages behind b. It is no matter if there are none.
func wantLargePages(b []byte) {
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
}

// mapFile returns the first size bytes of a file in memory, nil if that cannot be.
func mapFile(f *os.File, size int) []byte {
	data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return data
}

func unmapFile(data []byte) error { return syscall.Munmap(data) }

// populateRead is MADV_POPULATE_READ (Linux 5.14).
const populateRead = 22

// populate has a part of a mapped file read, so that no fault is to be expected there.
// A system that cannot do that reads when somebody looks.
func populate(data []byte, from, to int) error {
	err := syscall.Madvise(pages(data, from, to), populateRead)
	if errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// forget takes a part of a mapped file out of memory, with what shares its first page and its
// last: whoever needs those has them read again.
func forget(data []byte, from, to int) {
	_ = syscall.Madvise(pages(data, from, to), syscall.MADV_DONTNEED)
}

// pages is a part of data from the beginning of the page that it begins in.
func pages(data []byte, from, to int) []byte {
	return data[from&^(os.Getpagesize()-1) : to]
}
