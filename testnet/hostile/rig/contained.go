package rig

import (
	"os"
	"strings"
)

// Contained reports whether no route leads out of the namespace that this process is
// in, as far as can be told: false where that cannot be read.
func Contained() bool {
	v4, err := os.ReadFile("/proc/self/net/route")
	if err != nil || leadsOut(string(v4), 1, 7, "00000000") {
		return false
	}
	v6, err := os.ReadFile("/proc/self/net/ipv6_route")
	return os.IsNotExist(err) || err == nil && !leadsOut(string(v6), 0, 1, "00")
}

// leadsOut reports whether a table of the kernel has a route to everywhere that is not
// loopback's: one whose destination and mask, in two of its fields, are nothing but
// zeros.
func leadsOut(table string, destination, mask int, none string) bool {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= max(destination, mask) || fields[mask] != none || strings.Trim(fields[destination], "0") != "" {
			continue
		}
		if fields[0] != "lo" && fields[len(fields)-1] != "lo" {
			return true
		}
	}
	return false
}
