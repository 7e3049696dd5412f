package privatepg

import "syscall"

// endWithParent has the kernel ask for a fast shutdown when the owner dies,
// however it dies.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
