package exchange

// hedge says when another peer is asked for what one was asked for already. While nothing
// comes of it, that is each time that it looks; while something does, another one would only
// share the line, and it is after four looks, then eight, and so on. It reads no clock.
type hedge struct {
	least int64 // bytes that count
	seen  int64 // bytes at the last look
	looks int   // while something came
	next  int   // looks until another is asked
}

// hedgeLooks is how many looks another one is not asked for at first while something comes.
const hedgeLooks = 4

// newHedge returns a hedge that looks every HedgeDelay; so many bytes have come before.
func newHedge(l Limits, came int64) hedge {
	return hedge{least: int64(l.MinProgress), seen: came, next: hedgeLooks}
}

// another is told how many bytes have come in all, and reports whether another peer is to be
// asked.
func (h *hedge) another(came int64) bool {
	flows := came-h.seen >= h.least
	h.seen = came
	if !flows {
		return true
	}
	if h.looks++; h.looks < h.next {
		return false
	}
	h.looks, h.next = 0, 2*h.next
	return true
}
