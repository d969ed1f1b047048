package records

// crowd is who holds records, and who holds most. The numbers of holders are given again.
type crowd struct {
	holders []holder
	numbers map[Holder]int32
	spare   int32   // the first number that is not given, the others follow by at
	heap    []int32 // all but this peer, who holds most first
}

// holder is one of them. Its records are in two lists, those of keys of which nothing is known
// and those of known ones, each from the oldest to the newest.
type holder struct {
	id             Holder
	oldest, newest [2]int32
	count          int32
	at             int32 // in the heap
}

// ownNumber is the number of this peer, which is always there.
const ownNumber int32 = 0

func newCrowd() crowd {
	c := crowd{numbers: map[Holder]int32{Own: ownNumber}, spare: none}
	c.holders = append(c.holders, newHolder(Own))
	return c
}

func newHolder(id Holder) holder {
	return holder{id: id, oldest: [2]int32{none, none}, newest: [2]int32{none, none}, at: none}
}

// count returns how many records somebody holds.
func (c *crowd) count(h Holder) int {
	n, ok := c.numbers[h]
	if !ok {
		return 0
	}
	return int(c.holders[n].count)
}

// oldest returns the record that a holder loses, none if it has none.
func (c *crowd) oldest(number int32) int32 {
	for _, first := range c.holders[number].oldest {
		if first != none {
			return first
		}
	}
	return none
}

// loser returns the record that is lost to one of a holder that is to have no more than a share.
// It is none if there are none but this peer's own, of which this peer itself loses one.
func (c *crowd) loser(by Holder, share int) int32 {
	mine := c.count(by)
	switch {
	case len(c.heap) == 0 && by != Own:
		return none
	case len(c.heap) == 0:
		return c.oldest(ownNumber)
	case by == Own:
		return c.oldest(c.heap[0])
	case mine >= share || !yields(int(c.holders[c.heap[0]].count), mine):
		return c.oldest(c.numbers[by])
	}
	return c.oldest(c.heap[0])
}

// enter returns the number of a holder, which has one more record.
func (c *crowd) enter(h Holder) int32 {
	number, ok := c.numbers[h]
	if !ok {
		if number = c.spare; number == none {
			number = int32(len(c.holders))
			c.holders = append(c.holders, holder{})
		} else {
			c.spare = c.holders[number].at
		}
		c.holders[number] = newHolder(h)
		c.numbers[h] = number
		c.holders[number].at = int32(len(c.heap))
		c.heap = append(c.heap, number)
	}
	c.holders[number].count++
	c.rise(number)
	return number
}

// exit says that a holder has one record less. Who has none is forgotten.
func (c *crowd) exit(number int32) {
	h := &c.holders[number]
	h.count--
	if number == ownNumber {
		return
	}
	c.sink(number)
	if h.count > 0 {
		return
	}
	last := len(c.heap) - 1
	at, other := h.at, c.heap[last]
	c.swap(at, int32(last))
	c.heap = c.heap[:last]
	if other != number {
		c.rise(other)
		c.sink(other)
	}
	delete(c.numbers, h.id)
	h.at, c.spare = c.spare, number
}

func (c *crowd) more(i, j int32) bool {
	return c.holders[c.heap[i]].count > c.holders[c.heap[j]].count
}

func (c *crowd) swap(i, j int32) {
	c.heap[i], c.heap[j] = c.heap[j], c.heap[i]
	c.holders[c.heap[i]].at, c.holders[c.heap[j]].at = i, j
}

// rise puts a holder that has more than before where it belongs.
func (c *crowd) rise(number int32) {
	for i := c.holders[number].at; i > 0 && c.more(i, (i-1)/2); i = (i - 1) / 2 {
		c.swap(i, (i-1)/2)
	}
}

// sink does it for one that has less.
func (c *crowd) sink(number int32) {
	for i := c.holders[number].at; ; {
		most := i
		for down := 2*i + 1; down <= 2*i+2 && int(down) < len(c.heap); down++ {
			if c.more(down, most) {
				most = down
			}
		}
		if most == i {
			return
		}
		c.swap(i, most)
		i = most
	}
}

// join puts a record at the end of its holder's list.
func (c *crowd) join(slots []slot, at int32) {
	s, h := &slots[at], &c.holders[slots[at].holder()]
	rank := s.rank()
	s.older, s.newer = h.newest[rank], none
	if s.older == none {
		h.oldest[rank] = at
	} else {
		slots[s.older].newer = at
	}
	h.newest[rank] = at
}

// leave takes a record out of its holder's list.
func (c *crowd) leave(slots []slot, at int32) {
	s, h := &slots[at], &c.holders[slots[at].holder()]
	rank := s.rank()
	if s.older == none {
		h.oldest[rank] = s.newer
	} else {
		slots[s.older].newer = s.newer
	}
	if s.newer == none {
		h.newest[rank] = s.older
	} else {
		slots[s.newer].older = s.older
	}
}
