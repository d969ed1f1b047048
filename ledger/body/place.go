package body

import "github.com/decube/decube/ledger/pbft"

// slot returns the places of a sequence number in play.
func (s *Store) slot(seq uint64) *slot {
	at := s.slots[seq]
	if at == nil {
		at = &slot{}
		s.slots[seq] = at
	}
	return at
}

// forget gives up the places of a sequence number.
func (s *Store) forget(seq uint64) {
	if at := s.slots[seq]; at != nil {
		s.assign(&at.present, place{})
		s.assign(&at.accepted, place{})
		s.assign(&at.locked, place{})
		delete(s.slots, seq)
	}
}

// tidy drops a sequence number none of whose places names anything.
func (s *Store) tidy(seq uint64) {
	if at := s.slots[seq]; !at.present.named && !at.accepted.named && !at.locked.named {
		delete(s.slots, seq)
	}
}

// assign has a place name another root. It is the only way in which references change,
// and with them what is retained. The new root is referred to before the old one is
// let go, since they may be the same. The caller then calls makeRoom, when all that
// changes together has changed: what this replica does not vouch for any more is its
// leader's from then on.
func (s *Store) assign(at *place, to place) {
	from := *at
	*at = to
	if to.named {
		s.count(to, 1)
	}
	if from.named {
		s.count(from, -1)
	}
}

// record has a place name what a record says, unless that of a later view has come.
func (s *Store) record(at *place, view uint64, root pbft.Digest) {
	if !at.named || view >= at.view {
		s.assign(at, place{named: true, strong: true, view: view, root: root})
		s.makeRoom()
	}
}

// count adds a place to those that name its root, or takes one away.
func (s *Store) count(p place, n int) {
	b := s.bodies[p.root]
	if b == nil {
		b = &retained{}
		s.bodies[p.root] = b
	}
	s.charge(b, -1)
	if p.strong {
		b.strong += n
	} else {
		b.weak += n
	}
	if b.weak+b.strong == 0 {
		delete(s.bodies, p.root)
		return
	}
	s.charge(b, 1)
	s.cap(b)
}

// cap drops a content that is larger than a leader may offer once this replica does not
// vouch for it any more.
func (s *Store) cap(b *retained) {
	if b.strong == 0 && b.content != nil && b.content.Size() > s.limits.BodyBytes {
		s.fill(b, nil)
	}
}

// charge adds a content to the sums, or takes it out of them.
func (s *Store) charge(b *retained, n int) {
	if b.content == nil {
		return
	}
	s.bytes += n * b.content.Size()
	if b.strong == 0 {
		s.offered += n * b.content.Size()
	}
}

// fill gives a root its content.
func (s *Store) fill(b *retained, c *Content) {
	s.charge(b, -1)
	b.content = c
	s.charge(b, 1)
}

// makeRoom keeps what leaders offer within its bound. The slots in the window fit by
// themselves, one content each. Those beyond it are held only as far as room is left,
// the nearest first: what is dropped here keeps its place and is asked for when its
// turn comes.
func (s *Store) makeRoom() {
	room := int(s.limits.Window) * s.limits.BodyBytes
	for seq := s.horizon(); s.offered > room && seq > s.base+s.limits.Window; seq-- {
		at := s.slots[seq]
		if at == nil || !at.present.named || s.inWindow(at.present.root) {
			continue
		}
		if b := s.bodies[at.present.root]; b.strong == 0 {
			s.fill(b, nil)
		}
	}
}

// inWindow reports whether a slot in the window names a root: the same transactions may
// be proposed for several numbers.
func (s *Store) inWindow(root pbft.Digest) bool {
	for seq := s.base + 1; seq <= s.base+s.limits.Window; seq++ {
		if at := s.slots[seq]; at != nil && at.present.named && at.present.root == root {
			return true
		}
	}
	return false
}
