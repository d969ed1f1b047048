package driver

import "github.com/decube/decube/ledger/codec"

// marks are how far the log is, and what waits for it.
type marks struct {
	last, durable Mark
	loose         bool // a decision was logged behind the last mark
	held          []held
	sends, bytes  int // of held
}

// held is what happens once a mark is durable.
type held struct {
	mark  Mark
	do    func()
	send  bool
	bytes int // of what is sent
}

// maxHeld is how many messages wait for a slow disk. Those that would be more are lost:
// the core repeats what is of use.
const maxHeld = 4096

// log adds records to the log. If others may see that they are there, because something
// depends on them, what is decided from here on waits until they are durable.
func (d *Driver) log(records []codec.LogRecord, depends bool) {
	e := Append{Records: records}
	if d.marks.loose = !depends; depends {
		d.marks.last++
		e.Mark = d.marks.last
	}
	d.do(e)
}

// leave does something when all that was logged so far is durable: at once, if it is.
// What leaves does so in the order of the calls.
func (d *Driver) leave(do func()) {
	if m := &d.marks; len(m.held) > 0 || m.durable < m.last {
		m.held = append(m.held, held{mark: m.last, do: do})
		return
	}
	do()
}

// leaveSend is leave for a message of the core.
func (d *Driver) leaveSend(s Send) {
	m := &d.marks
	switch {
	case len(m.held) == 0 && m.durable == m.last:
		d.do(s)
	case m.sends < maxHeld:
		h := held{mark: m.last, do: func() { d.do(s) }, send: true, bytes: s.bytes()}
		m.sends, m.bytes = m.sends+1, m.bytes+h.bytes
		m.held = append(m.held, h)
	default:
		d.notice(FrameDropped{s.Class.String()})
	}
}

// durable takes note that the log is durable up to a mark.
func (d *Driver) durable(mark Mark) {
	m := &d.marks
	m.durable = max(m.durable, mark)
	for len(m.held) > 0 && m.held[0].mark <= m.durable {
		h := m.held[0]
		m.held[0] = held{}
		m.held = m.held[1:]
		if h.send {
			m.sends, m.bytes = m.sends-1, m.bytes-h.bytes
		}
		h.do()
	}
	if len(m.held) == 0 {
		m.held = nil
	}
}

// drop forgets what waits: the log will not be durable any more.
func (m *marks) drop() {
	m.held, m.sends, m.bytes = nil, 0, 0
	m.durable = m.last
}
