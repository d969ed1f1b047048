// Package limits says what a process may use of the machine that it runs on.
//
//	MemTotal ─────────────┐
//	cgroup v2 memory.max ─┼─ least ── Machine.Memory ── GoMemory, and what protocols may hold
//	v1 limit_in_bytes ────┘
//	RLIMIT_NOFILE ─────────────────── Machine.Files
//	Machine ── NewBudget ── Budget: connections and rows of protocols
//
// A container, or a service with a limit, has less memory than its host. A process that
// takes the host's for its own is killed by the kernel where it should have collected
// garbage, or refused a connection.
package limits

// Machine is what a process may use.
type Machine struct {
	// Memory is how many bytes of memory there are for it: of the machine's, and of the
	// limits of its control group and of all above that, the least. 0 if nothing says.
	Memory int64
	// Files is how many file descriptors it may have open, 0 if nothing says.
	Files int
}

// GoMemory returns the soft limit for the memory of Go's runtime, in bytes, that leaves
// room for what the runtime does not count: mapped files, the program, the kernel's
// buffers. It is 0, for none, where nothing says how much memory there is.
func (m Machine) GoMemory() int64 { return m.Memory / 10 * 8 }
