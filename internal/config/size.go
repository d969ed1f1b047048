package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// ParseSize reads a number of bytes: 1048576, 512MiB, 100G. Units with an i are
// powers of 1024, the others powers of 1000, as everywhere in DeCube.
func ParseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(strings.TrimSpace(text))
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%q is not a size: want a number of bytes such as 1048576, 512MiB or 100GB", text)
	}
	return int64(n), nil
}

// FormatSize writes a number of bytes so that ParseSize reads the same number:
// with the largest binary unit that divides it.
func FormatSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB", "PiB"}
	unit := 0
	for n != 0 && n%1024 == 0 && unit+1 < len(units) {
		n /= 1024
		unit++
	}
	return strconv.FormatInt(n, 10) + units[unit]
}
