//go:build !linux

package limits

// ThisMachine knows nothing of machines that do not run Linux.
func ThisMachine() Machine { return Machine{} }
