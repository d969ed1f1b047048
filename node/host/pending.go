package host

import (
	"time"
)

// pending knows what others have begun and nobody is behind yet: connections that are not
// secured, streams without a protocol. Such a thing costs who begins it a packet. When there
// are too many, of one holder or in all, whoever has most of them loses the oldest, which is
// rather one that was never meant to go on. It is pure, and not safe for concurrent use.
type pending[ID, Holder comparable] struct {
	most, perHolder int
	within          time.Duration // after which one has ended by itself; 0 where end tells of each
	all             map[ID]*begun[ID, Holder]
	byHolder        map[Holder][]*begun[ID, Holder] // the oldest first

	// weighs has who weighs most lose of a holder's; nil has the oldest lose.
	weighs func(ID) int
}

// begun is one of them.
type begun[ID, Holder comparable] struct {
	id     ID
	holder Holder
	since  time.Time
	cut    func() // ends it
}

func newPending[ID, Holder comparable](most, perHolder int, within time.Duration) *pending[ID, Holder] {
	return &pending[ID, Holder]{
		most: most, perHolder: perHolder, within: within,
		all: map[ID]*begun[ID, Holder]{}, byHolder: map[Holder][]*begun[ID, Holder]{},
	}
}

// begin notes one more, and returns what ends those that have to make room for it.
func (p *pending[ID, Holder]) begin(now time.Time, id ID, of Holder, cut func()) (cuts []func()) {
	p.expire(now)
	p.end(id) // of an earlier one nobody has heard the end
	one := &begun[ID, Holder]{id, of, now, cut}
	p.all[id] = one
	p.byHolder[of] = append(p.byHolder[of], one)
	if len(p.byHolder[of]) > p.perHolder {
		cuts = append(cuts, p.drop(of))
	}
	if len(p.all) > p.most {
		cuts = append(cuts, p.drop(p.largest()))
	}
	return cuts
}

// end notes that one has come to its end, whichever, and reports whether it was known.
func (p *pending[ID, Holder]) end(id ID) bool {
	one := p.all[id]
	if one != nil {
		p.forget(one)
	}
	return one != nil
}

// drop forgets one of a holder, of those that weigh most the oldest, and returns what ends it.
func (p *pending[ID, Holder]) drop(of Holder) func() {
	loses := p.byHolder[of][0]
	if p.weighs != nil {
		for _, one := range p.byHolder[of][1:] {
			if p.weighs(one.id) > p.weighs(loses.id) {
				loses = one
			}
		}
	}
	p.forget(loses)
	return loses.cut
}

// largest returns the holder that has most, of several the one with the oldest.
func (p *pending[ID, Holder]) largest() (most Holder) {
	var than []*begun[ID, Holder]
	for holder, list := range p.byHolder {
		if len(list) > len(than) || len(list) == len(than) && list[0].since.Before(than[0].since) {
			most, than = holder, list
		}
	}
	return most
}

// expire forgets those that have ended by themselves.
func (p *pending[ID, Holder]) expire(now time.Time) {
	if p.within == 0 {
		return
	}
	for _, one := range p.all {
		if now.Sub(one.since) > p.within {
			p.forget(one)
		}
	}
}

func (p *pending[ID, Holder]) forget(one *begun[ID, Holder]) {
	delete(p.all, one.id)
	list := p.byHolder[one.holder]
	for i := range list {
		if list[i] == one {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if p.byHolder[one.holder] = list; len(list) == 0 {
		delete(p.byHolder, one.holder)
	}
}
