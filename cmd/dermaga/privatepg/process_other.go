//go:build !linux

package privatepg

import "syscall"

// endWithParent does nothing: only Linux signals a child whose parent died. A
// server that is left over is named by the next Start.
func endWithParent(*syscall.SysProcAttr) {}
