package adversary

import "github.com/decube/decube/ledger/pbft"

// fickle changes between the other strategies, and honesty, from time to time.
type fickle struct {
	now  Strategy
	left int
}

func (f *fickle) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	if f.left--; f.left < 0 {
		f.left = r.Rand.IntN(60)
		f.now = nil
		if all := kinds(); r.Rand.IntN(3) > 0 {
			f.now = all[r.Rand.IntN(len(all)-1)].make() // all but this one, which is the last
		}
	}
	if f.now == nil {
		return honest(envelopes)
	}
	return f.now.Send(r, envelopes)
}

func (f *fickle) Listen(r *Replica, m pbft.Message) []Packet {
	if l, ok := f.now.(Listener); ok {
		return l.Listen(r, m)
	}
	return nil
}

func (f *fickle) Tick(r *Replica) []Packet {
	if t, ok := f.now.(Ticker); ok {
		return t.Tick(r)
	}
	return nil
}
