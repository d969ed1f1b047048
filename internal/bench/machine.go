package bench

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/decube/decube/internal/version"
)

// Machine is where a run took place. What the platform does not tell is empty.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"` // usable by this process
	MemoryBytes int64  `json:"memory_bytes"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel"`
	FileSystem  string `json:"file_system"` // where the benchmark writes
}

// Same reports whether figures from m and o may be compared in absolute terms.
func (m Machine) Same(o Machine) bool { return m == o }

// ThisMachine describes the machine for a run that writes below dir.
func ThisMachine(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel()}
	m.describe(dir)
	return m
}

// cpuModel returns the first processor's name, "" where it is not told.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Load returns the mean number of processes that were ready to run or waiting for
// a disk in the last minute, 0 where it is not told. Above about 0.5, before a
// benchmark begins, others are at work and will disturb it.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// ThisVersion describes the running program.
func ThisVersion() Version {
	v := version.Get()
	return Version{Program: v.Version, Commit: v.Commit, Go: v.Go}
}
