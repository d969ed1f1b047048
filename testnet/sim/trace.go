package sim

import (
	"fmt"
	"io"
	"strings"
)

// ringLines is how many of the last events a run keeps for the case that it fails.
const ringLines = 4000

// line is one event of a trace. It is printed only when somebody wants to read it: what
// it speaks of does not change any more.
type line struct {
	at   Time
	node int // that it happened to, or nobody
	verb string
	peer int // the node at the other end, or nobody
	what any
}

const nobody = -1

// trace keeps the last lines of a run, or writes every line at once.
type trace struct {
	ring  []line
	count int
	out   io.Writer // nil: keep
}

func (t *trace) add(l line) {
	if t.out != nil {
		t.print(t.out, &l)
		return
	}
	if t.ring == nil {
		t.ring = make([]line, ringLines)
	}
	t.ring[t.count%ringLines] = l
	t.count++
}

// print writes a line: time in milliseconds, node, what happened, with whom, about what.
func (t *trace) print(w io.Writer, l *line) {
	who, peer, what := "    ", "", ""
	if l.node != nobody {
		who = fmt.Sprintf("n%-3d", l.node)
	}
	if l.peer != nobody {
		peer = fmt.Sprintf(" n%d", l.peer)
	}
	if l.what != nil {
		what = fmt.Sprintf(" %v", l.what)
	}
	fmt.Fprintf(w, "%11v %s %s%s%s\n", l.at, who, l.verb, peer, what)
}

// String returns the lines that were kept, oldest first.
func (t *trace) String() string {
	var b strings.Builder
	if t.count > ringLines {
		fmt.Fprintf(&b, "... %d lines before\n", t.count-ringLines)
	}
	for i := max(0, t.count-ringLines); i < t.count; i++ {
		t.print(&b, &t.ring[i%ringLines])
	}
	return b.String()
}
