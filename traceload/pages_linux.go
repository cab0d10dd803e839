package traceload

import "syscall"

// wantLargePages asks for large pages behind b. It is no matter if there are none.
func wantLargePages(b []byte) {
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
}
