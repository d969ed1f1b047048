package ignore

import "bytes"

// match reports whether all of a name or path matches.
func (p *pattern) match(path []byte) bool {
	n, m := len(p.prefix), len(p.suffix)
	switch {
	case len(path) < p.shortest,
		n > 0 && path[0] != p.first, m > 0 && path[len(path)-1] != p.last,
		string(path[:n]) != p.prefix, string(path[len(path)-m:]) != p.suffix:
		return false
	}
	path = path[n : len(path)-m]
	switch len(p.program) {
	case 0:
		return len(path) == 0
	case 1:
		if p.program[0] == anyRun && !p.anchored {
			return true // names have no slash that could end it
		}
	}
	if len(p.inner) > 1 && !bytes.Contains(path, p.inner) {
		return false
	}
	return p.run(path)
}

// run reports whether the program takes all of the path.
//
// Each * first takes nothing, and one byte more whenever what follows it fails. It is
// enough to remember the last *: bytes that an earlier one took more would have to be
// given back by the later one, which could as well have taken them itself. A * that a
// slash of the program has left behind cannot take more at all, since it ends before that
// slash. The same holds for **, which are tried again when the * after them is at its
// end. So two places to return to are all the state there is, and no pattern takes
// exponential time.
func (p *pattern) run(path []byte) bool {
	const none = -1
	star, starEnd := none, 0 // the step after the last *, and where in path that * ends now
	deep, deepEnd := none, 0 // the same of the last **
	step, at := 0, 0
	for {
		if step == len(p.program) {
			if at == len(path) {
				return true
			}
		} else {
			switch t := p.program[step]; {
			case t == anyRun:
				step++
				star, starEnd = step, at
				continue
			case t == anyDirs, t == anyPath:
				step++
				deep, deepEnd, star = step, at, none
				continue
			case at < len(path) && p.takes(t, path[at]):
				if path[at] == '/' {
					star = none // it could only fail again
				}
				step++
				at++
				continue
			}
		}
		switch {
		case star != none && starEnd < len(path) && path[starEnd] != '/':
			starEnd++
			step, at = star, starEnd
		case deep != none:
			n := 1
			if p.program[deep-1] == anyDirs {
				n += bytes.IndexByte(path[deepEnd:], '/')
			}
			if n == 0 || deepEnd+n > len(path) {
				return false
			}
			deepEnd += n
			step, at, star = deep, deepEnd, none
		default:
			return false
		}
	}
}

// takes reports whether a step that stands for one byte stands for b.
func (p *pattern) takes(t token, b byte) bool {
	switch {
	case t.literal():
		return byte(t) == b
	case t == anyByte:
		return b != '/'
	}
	return p.sets[t-firstSet].has(b)
}
