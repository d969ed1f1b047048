package adversary

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

func place(t *testing.T, self quorum.Replica) *Replica {
	t.Helper()
	c, err := quorum.New(4)
	if err != nil {
		t.Fatal(err)
	}
	return &Replica{
		Epoch: 1, Committee: c, Self: self, Window: 4, Rand: rand.New(rand.NewPCG(1, 1)),
		Sign: func(statement []byte) (sig pbft.Signature) {
			copy(sig[:], statement[len(statement)-8:])
			sig[63] = byte(self) + 1
			return sig
		},
	}
}

// honestly is one of everything that a replica sends.
func honestly(r *Replica) []pbft.Envelope {
	h := pbft.Header{Epoch: 1, Seq: 5}
	s := pbft.Subject{Phase: pbft.Prepare, Epoch: 1, View: 2, Seq: 5, Digest: h.Digest()}
	cert := pbft.Certificate{Subject: s, Sigs: []pbft.Signed{{Replica: 0}, {Replica: 1}, {Replica: 2}}}
	checkpoint := s
	checkpoint.Phase, checkpoint.View = pbft.Checkpoint, 0
	proposal := &pbft.Proposal{View: 2, Header: h}
	change := &pbft.ViewChange{Epoch: 1, View: 3, Replica: r.Self, Base: cert, Locks: []pbft.Lock{{Header: h, Cert: cert}}}
	var out []pbft.Envelope
	for _, m := range []pbft.Message{
		proposal, r.vote(s), r.vote(checkpoint), change,
		&pbft.NewView{Epoch: 1, View: 3, Changes: []*pbft.ViewChange{change, change, change}, Proposals: []*pbft.Proposal{proposal}},
		&pbft.Decision{Header: h, Cert: cert}, &pbft.Certified{Cert: cert}, &pbft.Status{Epoch: 1, Replica: r.Self},
	} {
		out = append(out, pbft.Envelope{All: true, Message: r.resign(m)})
	}
	return out
}

// No strategy may change messages that others hold, or fail on any.
func TestStrategiesLeaveMessagesAlone(t *testing.T) {
	for _, name := range Names() {
		r := place(t, 2)
		s := New(name)
		for range 300 {
			envelopes := honestly(r)
			for _, e := range envelopes {
				r.Hear(e.Message)
			}
			before := deepCopy(reflect.ValueOf(envelopes)).Interface()
			s.Send(r, envelopes)
			if ticker, ok := s.(Ticker); ok {
				ticker.Tick(r)
			}
			for _, e := range envelopes {
				if listener, ok := s.(Listener); ok {
					listener.Listen(r, e.Message)
				}
			}
			if !reflect.DeepEqual(before, envelopes) {
				t.Fatalf("%s changed what it was given", name)
			}
		}
	}
}

func TestMutatorChangesSomething(t *testing.T) {
	r := place(t, 1)
	for _, e := range honestly(r) {
		changed := 0
		for range 100 {
			if !reflect.DeepEqual(r.mutate(e.Message), e.Message) {
				changed++
			}
		}
		if changed < 50 {
			t.Errorf("%v: %d of 100 mutations change it", e.Message, changed)
		}
	}
}

func TestNoSuchStrategy(t *testing.T) {
	if New("kind") != nil {
		t.Error("made a strategy that there is not")
	}
}
