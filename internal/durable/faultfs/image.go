package faultfs

import (
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// Model says what a disk may do at a crash beyond what all disks may do.
type Model struct {
	// Torn lets sectors be torn, whose beginning is new and whose rest is old.
	Torn bool
	// Unordered lets changes to names survive in any combination, not only up to
	// some point in order. A rename may then leave both names, never none.
	Unordered bool
}

// Chooser decides what a crash leaves.
type Chooser interface {
	// Choose returns a number in [0, n). 0 stands for what leaves less.
	Choose(n int) int
}

// ChooserFunc is a function as a Chooser.
type ChooserFunc func(n int) int

// Choose implements Chooser.
func (f ChooserFunc) Choose(n int) int { return f(n) }

// Random returns a Chooser that draws.
func Random(rnd *rand.Rand) Chooser { return ChooserFunc(rnd.IntN) }

// Oldest is the Chooser that leaves only what was synced.
var Oldest Chooser = ChooserFunc(func(int) int { return 0 })

// Newest is the Chooser that leaves everything, as the end of a process does.
var Newest Chooser = newest{}

type newest struct{}

func (newest) Choose(n int) int { return n - 1 }

// Every yields Choosers that together make every choice there is, one after the
// other: with each one the same must be asked as long as it answers the same. That
// is for small cases: k sectors that were not synced have about 2^k images, and
// torn ones 500 times as many each.
func Every() iter.Seq[Chooser] {
	return func(yield func(Chooser) bool) {
		var e odometer
		for more := true; more; more = e.advance() {
			e.at = 0
			if !yield(&e) {
				return
			}
		}
	}
}

// odometer counts through choices: the last one turns fastest.
type odometer struct {
	digits, limits []int
	at             int
}

// Choose implements Chooser.
func (o *odometer) Choose(n int) int {
	if o.at == len(o.digits) {
		o.digits, o.limits = append(o.digits, 0), append(o.limits, n)
	}
	o.at++
	return o.digits[o.at-1]
}

// advance goes to the next sequence of choices, if there is one.
func (o *odometer) advance() bool {
	// What was not asked this time belongs to another branch.
	o.digits, o.limits = o.digits[:o.at], o.limits[:o.at]
	for last := len(o.digits) - 1; last >= 0; last-- {
		if o.digits[last]+1 < o.limits[last] {
			o.digits[last]++
			return true
		}
		o.digits, o.limits = o.digits[:last], o.limits[:last]
	}
	return false
}

// Image returns the file system as it may be found after a crash now, without
// faults. The receiver stays as it is, and can go on or be asked for other images.
func (f *FS) Image(m Model, c Chooser) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.image(m, c)
}

func (f *FS) image(m Model, c Chooser) *FS {
	next := f.blank()
	names := f.namesAfterCrash(m, c)
	after := make(map[*node]*node, len(names))
	// In order of names, so that the same choices give the same image.
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n := names[name]
		if after[n] == nil {
			onDisk := n.afterCrash(m, c)
			after[n] = &node{cur: onDisk.clone(), synced: onDisk.clone()}
		}
		next.names[name] = after[n]
	}
	next.durable = maps.Clone(next.names)
	return next
}

// namesAfterCrash returns the names that survive.
func (f *FS) namesAfterCrash(m Model, c Chooser) map[string]*node {
	names := maps.Clone(f.durable)
	if !m.Unordered {
		for _, op := range f.pending[:choose(c, len(f.pending)+1)] {
			apply(names, op)
		}
		return names
	}
	before := false // whether the change before survived
	for _, op := range f.pending {
		// The old name of a renamed file goes only with the new one there.
		before = (!op.moved || before) && choose(c, 2) == 1
		if before {
			apply(names, op)
		}
	}
	return names
}

// choose asks where there is something to choose.
func choose(c Chooser, n int) int {
	if n < 2 {
		return 0
	}
	return c.Choose(n)
}

// What may become of a write, as a Chooser numbers it.
const (
	writeLost = iota
	writeInPages
	writeInSectors
	writeWhole
	writeOutcomes
)

// afterCrash returns what the disk may hold of a file.
func (n *node) afterCrash(m Model, c Chooser) content {
	b := n.synced.clone()
	if len(n.log) == 0 {
		return b
	}
	// A write within the file changes data alone; one that makes the file longer
	// is a change of metadata as well, and in line with the others. Replaying the
	// sizes tells which are which.
	metadata, size := 0, n.synced.size
	for i := range n.log {
		var grows bool
		if size, grows = n.log[i].sizeAfter(size); grows || n.log[i].kind != write {
			metadata++
		}
	}
	survive := choose(c, metadata+1)
	size = n.synced.size
	for i := range n.log {
		x := &n.log[i]
		var grows bool
		size, grows = x.sizeAfter(size)
		if x.kind == write && !grows {
			x.mayLand(&b, m, c)
			continue
		}
		lost := survive == 0
		survive = max(0, survive-1)
		switch {
		case x.kind == write:
			if !lost {
				b.grow(x.off + int64(len(x.data)))
			}
			x.mayLand(&b, m, c)
		case !lost:
			x.applyTo(&b)
		}
	}
	return b
}

// sizeAfter returns the size of a file after a change, and whether it has grown.
func (c *change) sizeAfter(size int64) (after int64, grown bool) {
	switch c.kind {
	case truncate:
		return c.n, false
	case punch:
		return size, false
	default:
		after = max(size, c.off+max(c.n, int64(len(c.data))))
		return after, after > size
	}
}

// mayLand applies what a crash leaves of a write, as far as the file reaches.
func (c *change) mayLand(b *content, m Model, choice Chooser) {
	data := c.data[:max(0, min(int64(len(c.data)), b.size-c.off))]
	if len(data) == 0 {
		return
	}
	switch choice.Choose(writeOutcomes) {
	case writeLost:
	case writeWhole:
		b.write(data, c.off)
	case writeInPages:
		land(b, data, c.off, len(page{}), false, choice)
	case writeInSectors:
		land(b, data, c.off, Sector, m.Torn, choice)
	}
}

// land writes those parts of a write that the Chooser chooses.
func land(b *content, data []byte, off int64, unit int, torn bool, choice Chooser) {
	outcomes := 2
	if torn {
		outcomes++
	}
	for part := range slices.Chunk(data, unit) {
		switch choice.Choose(outcomes) {
		case 1:
			b.write(part, off)
		case 2:
			b.write(part[:1+choose(choice, len(part)-1)], off)
		}
		off += int64(len(part))
	}
}
