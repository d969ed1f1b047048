package admission

// rank is what a heap is ordered by.
type rank int

const (
	byPlaces rank = iota // most places first
	byBytes              // most bytes first
	byHard               // the clock that runs out first
	bySoft               // the same, of those that run while others wait
	byHeld               // whose prefix has held places for longest
	ranks
)

// measures are the ranks that groups are ordered by.
const measures = byBytes + 1

// heap is a priority queue of nodes, each of which knows where in it it is.
type heap struct {
	by    rank
	nodes []*node
}

// first returns the first node, nil if there is none.
func (h *heap) first() *node {
	if len(h.nodes) == 0 {
		return nil
	}
	return h.nodes[0]
}

// firstBut returns the first node that is not the given one.
func (h *heap) firstBut(n *node) *node {
	if h.first() != n {
		return h.first()
	}
	var best *node
	for _, other := range h.nodes[min(1, len(h.nodes)):min(3, len(h.nodes))] {
		if best == nil || other.before(best, h.by) {
			best = other
		}
	}
	return best
}

func (h *heap) add(n *node) {
	n.at[h.by] = len(h.nodes)
	h.nodes = append(h.nodes, n)
	h.fix(n)
}

func (h *heap) remove(n *node) {
	i, last := n.at[h.by], len(h.nodes)-1
	h.swap(i, last)
	h.nodes[last] = nil
	h.nodes = h.nodes[:last]
	if i < last {
		h.fix(h.nodes[i])
	}
}

// fix puts a node whose rank has changed where it belongs.
func (h *heap) fix(n *node) {
	for i := n.at[h.by]; i > 0; {
		up := (i - 1) / 2
		if !h.nodes[i].before(h.nodes[up], h.by) {
			break
		}
		h.swap(i, up)
		i = up
	}
	for i := n.at[h.by]; ; {
		best := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(h.nodes); down++ {
			if h.nodes[down].before(h.nodes[best], h.by) {
				best = down
			}
		}
		if best == i {
			return
		}
		h.swap(i, best)
		i = best
	}
}

func (h *heap) swap(i, j int) {
	h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i]
	h.nodes[i].at[h.by], h.nodes[j].at[h.by] = i, j
}
