//go:build unix && !linux

package cluster

import "syscall"

// dieWithParent keeps the terminal's signals from a process. That a process ends
// with its parent is up to [Cluster.Close] here.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
