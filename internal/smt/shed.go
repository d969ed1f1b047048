package smt

// Memory that nodes take, in bytes, with what the allocator adds. Estimates.
const (
	costInner  = 96
	costPage   = 24
	costLeaf   = 96
	costRecord = 112
)

// recordClass is the class of records, which are shed before pages that were read
// as recently.
const recordClass = pathBits / pageBits

// Shed drops nodes that are in the store from memory until what remains of the map
// takes about limit bytes, and returns what remains; they are loaded again when they
// are needed. First to go is what was not read since the last Shed, and of that the
// deepest. Nodes that are not flushed stay, and so does everything in a map without a
// reader. Maps that share nodes with this one have them dropped as well.
//
// It looks at all of the map that is in memory: call it now and then, not per block.
func (m Map) Shed(limit int) int {
	if m.line == nil || m.line.reader == nil {
		return 0
	}
	var s shedder
	s.total += visit(&m.root, 0, s.measure)
	s.plan(s.total - limit)
	visit(&m.root, 0, s.drop)
	return s.total
}

// shedder counts what can go, and then lets it go class by class.
type shedder struct {
	total int // bytes in memory
	// bytes counts, by whether it was read and by depth in pages, first what can go,
	// then what must.
	bytes [2][recordClass + 1]int
}

func readClass(c *cell) int {
	if c.used.Load() {
		return 1
	}
	return 0
}

// measure counts a cell's bytes. It lets nothing go.
func (s *shedder) measure(c *cell, depth, bytes int) bool {
	s.total += bytes
	if _, flushed := c.version(); flushed {
		s.bytes[readClass(c)][depth] += bytes
	}
	return false
}

// plan decides how much of each class must go for a number of bytes to be free.
func (s *shedder) plan(excess int) {
	for read := range s.bytes {
		for depth := recordClass; depth >= 0; depth-- {
			class := &s.bytes[read][depth]
			*class = min(*class, max(excess, 0))
			excess -= *class
		}
	}
}

// drop lets go what was planned, and begins a new period of reading.
func (s *shedder) drop(c *cell, depth, bytes int) bool {
	class := &s.bytes[readClass(c)][depth]
	c.used.Store(false)
	if _, flushed := c.version(); !flushed || *class <= 0 {
		return false
	}
	*class -= bytes
	s.total -= bytes
	return true
}

// visit calls what for each page and record in memory, those below a page before
// the page itself, with its depth in pages and the bytes it takes without what is
// below. Where what returns true the page or record is dropped. It returns the bytes
// that the subtree takes in the page above.
func visit(at *link, depth int, what func(c *cell, depth, bytes int) bool) int {
	switch n := at.to.(type) {
	case *leaf:
		rec := n.record
		if rec == nil {
			return costLeaf + len(n.key) + len(n.value)
		}
		if e := rec.entry.Load(); e != nil && what(&rec.cell, recordClass, len(e.Key)+len(e.Value)) {
			rec.entry.Store(nil)
		}
		return costLeaf + costRecord
	case *page:
		if top := n.top.Load(); top != nil {
			bytes := costInner + visit(&top.kids[0], depth+1, what) + visit(&top.kids[1], depth+1, what)
			if what(&n.cell, depth/pageBits, bytes) {
				n.top.Store(nil)
			}
		}
		return costPage
	case *inner:
		return costInner + visit(&n.kids[0], depth+1, what) + visit(&n.kids[1], depth+1, what)
	default:
		return 0
	}
}
