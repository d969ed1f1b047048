package cluster

import "syscall"

// dieWithParent makes the kernel kill a process when the thread that started it
// ends, and keeps the terminal's signals from it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
