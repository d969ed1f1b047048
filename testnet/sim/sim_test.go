package sim

import (
	"strings"
	"testing"
)

func draw(t *testing.T, profile string, seed uint64) Config {
	t.Helper()
	c, err := Draw(profile, seed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSameSeedSameRun(t *testing.T) {
	for _, p := range Profiles() {
		var first string
		for i := range 2 {
			c := draw(t, p.Name, 1)
			var b strings.Builder
			c.Trace = &b
			Run(c)
			if i == 0 {
				first = b.String()
			} else if first != b.String() {
				t.Errorf("%s: the same seed gave two runs", p.Name)
			}
		}
	}
}
