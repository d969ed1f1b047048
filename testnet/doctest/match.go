package doctest

import (
	"regexp"
	"strings"
)

// kinds are what differs from run to run. Those with a binding are names, which
// later commands may use. At one place in a line the first kind that fits is it.
var kinds = []struct {
	name    string
	binding bool
	pattern string
}{
	{"address", true, `/(?:ip4|ip6|dns|dns4|dns6|dnsaddr|unix)/[^\s",\]]+`},
	{"URL", true, `https?://[^\s",\]]+`},
	{"CID", true, `\bbaf[a-z2-7]{8,}(?:…|\.\.\.)?`},
	{"peer", true, `\b12D3KooW[1-9A-HJ-NP-Za-km-z]*(?:…|\.\.\.)?|…[1-9A-HJ-NP-Za-km-z]{6,}`},
	{"time", false, `\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?`},
	{"number", false, `\b\d[\d,]*(?:\.\d+)?(?: ?(?:B|[kKMGT]i?B|ns|µs|ms|s|min|m|h)\b)?(?:/s)?`},
}

var variable = func() *regexp.Regexp {
	var all []string
	for _, k := range kinds {
		all = append(all, "("+k.pattern+")")
	}
	return regexp.MustCompile(strings.Join(all, "|"))
}()

// name is something in a line that later commands may use.
type name struct{ kind, text string }

// shape returns a line with what varies replaced by its kind, and the names in it.
func shape(line string) (string, []name) {
	var names []name
	var out strings.Builder
	last := 0
	for _, m := range variable.FindAllStringSubmatchIndex(line, -1) {
		for i, k := range kinds {
			if m[2*i+2] < 0 {
				continue
			}
			out.WriteString(line[last:m[0]] + "<" + k.name + ">")
			if last = m[1]; k.binding {
				names = append(names, name{k.name, line[m[0]:m[1]]})
			}
			break
		}
	}
	out.WriteString(line[last:])
	return strings.Join(strings.Fields(out.String()), " "), names
}

// Bindings say which name of this run stands for a name in the document.
type Bindings map[string]string

// Match reports whether got is what want shows, and if so which names of got
// stand for those of want.
func Match(want, got []string) (Bindings, bool) {
	b := Bindings{}
	return b, match(trim(want), trim(got), b)
}

func match(want, got []string, b Bindings) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if strings.TrimSpace(want[0]) == anything {
		for i := range len(got) + 1 {
			if match(want[1:], got[i:], b) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		return false
	}
	wantShape, wantNames := shape(want[0])
	gotShape, gotNames := shape(got[0])
	if wantShape != gotShape || !match(want[1:], got[1:], b) {
		return false
	}
	for i, n := range wantNames {
		b[n.text] = gotNames[i].text
	}
	return true
}

// trim takes away empty lines at the end.
func trim(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// apply puts the names of this run into a command of the document.
func (b Bindings) apply(command string) string {
	return variable.ReplaceAllStringFunc(command, func(text string) string {
		if bound, ok := b[text]; ok {
			return bound
		}
		return text
	})
}
