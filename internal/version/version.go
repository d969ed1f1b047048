// Package version tells which build of DeCube is running.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// number and commit are set by the linker for releases:
//
//	-ldflags "-X github.com/decube/decube/internal/version.number=1.2.3 -X ….commit=abc"
//
// and otherwise taken from what the Go tool recorded.
var (
	number = ""
	commit = ""
)

// Info describes a build.
type Info struct {
	Version  string `json:"version"`          // semantic version, or "devel"
	Commit   string `json:"commit,omitempty"` // full hash, with "+dirty" for uncommitted changes
	Go       string `json:"go"`               // toolchain, such as go1.26.6
	Platform string `json:"platform"`         // GOOS/GOARCH
}

// Get returns the description of the running program.
func Get() Info {
	info := Info{
		Version:  number,
		Commit:   commit,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		fill(&info, build)
	}
	if info.Version == "" {
		info.Version = "devel"
	}
	return info
}

// fill adds what the linker did not set and the Go tool knows.
func fill(info *Info, build *debug.BuildInfo) {
	if v := build.Main.Version; info.Version == "" && v != "" && v != "(devel)" {
		info.Version = v
	}
	if info.Commit != "" {
		return
	}
	dirty := ""
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	if info.Commit != "" {
		info.Commit += dirty
	}
}

// String returns the version on one line, for people and user agents.
func (i Info) String() string {
	if i.Commit == "" {
		return fmt.Sprintf("%s (%s, %s)", i.Version, i.Go, i.Platform)
	}
	return fmt.Sprintf("%s-%.12s (%s, %s)", i.Version, i.Commit, i.Go, i.Platform)
}

// UserAgent returns what the program calls itself towards peers and servers.
func (i Info) UserAgent(program string) string {
	return program + "/" + i.Version
}
