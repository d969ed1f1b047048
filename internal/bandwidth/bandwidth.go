// Package bandwidth bounds how many bytes a second pass to and from all peers together, and
// how many of them to and from strangers. It is used where connections are read and written,
// so that handshakes, multiplexers and every protocol count.
//
//	Limiter   the bounds in force, and what has passed
//	Valve     what passes over one connection goes through it, at once or when it may
//	Conn      a net.Conn with a valve
//
// # Who waits for whom
//
// Strangers wait for tokens of their own share first and for those of the whole after that,
// members for the whole alone. A step, 64 KiB at most and less where the bound is low, is what
// one connection waits for at a time, after which it is the next one's turn; of each party one
// connection at a time waits for the whole. So a member waits for one step of a stranger's at
// most, whatever number of strangers there is, and none of the two keeps the other out.
//
// # What does not wait
//
// Handshakes, pings and the first answers of a protocol are small, and over before anybody
// gives up on them only if they are not behind what is large. Each connection may send and
// receive a little without waiting, its talk, as long as not too much was lent: what passes so
// is owed, and what is large waits until it was made up for. Over a few seconds the bounds
// hold for all together.
//
// Instants are those of the time package, so that tests run in a bubble of testing/synctest.
package bandwidth

import (
	"time"

	"github.com/decube/decube/internal/admission"
)

// Direction is where bytes go, seen from this peer.
type Direction int

// The directions.
const (
	Upload Direction = iota
	Download
	directions
)

// String returns the direction's name.
func (d Direction) String() string { return [directions]string{"upload", "download"}[d] }

// Party is who shares a bound.
type Party int

// The parties.
const (
	Strangers Party = iota // strangers and known peers, and who has not said yet who it is
	Members                // members and protected peers
	parties
)

// String returns the party's name.
func (g Party) String() string { return [parties]string{"strangers", "members"}[g] }

// PartyOf returns the party of a class.
func PartyOf(c admission.Class) Party {
	switch c {
	case admission.Stranger, admission.Known:
		return Strangers
	default:
		return Members
	}
}

// Limits are bounds in bytes a second; 0 is none. Those of strangers are a part of the whole.
type Limits struct {
	Upload, Download                   int64 // of all peers together
	UploadStrangers, DownloadStrangers int64 // of strangers among them
}

// None reports whether there is no bound at all.
func (l Limits) None() bool { return l == Limits{} }

// Least is the lowest bound that handshakes and what is needed to stay in touch with a few
// peers fit into, in bytes a second.
const Least = 16 << 10

// Limiter has bounds in force. It is safe for concurrent use.
type Limiter struct {
	pipes     [directions]*pipe
	newcomers *Valve
}

// New returns a limiter. Bounds below Least work, and connections over them do not.
func New(l Limits) *Limiter {
	m := &Limiter{}
	m.pipes[Upload] = newPipe(l.Upload, l.UploadStrangers)
	m.pipes[Download] = newPipe(l.Download, l.DownloadStrangers)
	m.newcomers = m.valve(newcomersTalk, newcomersPart)
	for d := range m.newcomers.talk {
		m.newcomers.talk[d].shared = true
	}
	return m
}

// Use is a bound, and what passes under it.
type Use struct {
	Direction Direction
	Party     Party
	Limit     int64   // bytes a second, 0 without a bound of the party's own
	Rate      float64 // bytes a second over the last few
	Bytes     int64   // since the start
}

// Whole returns the bound of a direction for all peers together, 0 for none.
func (m *Limiter) Whole(d Direction) int64 { return limitOf(m.pipes[d].whole) }

// Bound returns how many bytes a second a party may pass at most, 0 for no bound.
func (m *Limiter) Bound(d Direction, g Party) (least int64) {
	for _, b := range m.pipes[d].buckets(g) {
		if l := limitOf(b); least == 0 || l < least {
			least = l
		}
	}
	return least
}

// Use returns what passes, by direction and party.
func (m *Limiter) Use() []Use {
	var all []Use
	now := time.Now()
	for d, l := range m.pipes {
		for g := range parties {
			u := Use{Direction: Direction(d), Party: g}
			u.Bytes, u.Rate = l.passed[g].read(now)
			if g == Strangers {
				u.Limit = limitOf(l.strangers)
			}
			all = append(all, u)
		}
	}
	return all
}
