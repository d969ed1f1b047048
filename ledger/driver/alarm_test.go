package driver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
)

// A certificate that contradicts what is committed here is of no use to the core, and an
// alarm all the same, however old its block is. One that nobody has signed is none.
func TestContradictionOfACommittedBlock(t *testing.T) {
	for _, c := range []struct {
		name   string
		forge  func(h *pbft.Header)
		back   int // below the head
		signed bool
	}{
		{"another head", func(h *pbft.Header) { h.Time++ }, 0, true},
		{"an older block", func(h *pbft.Header) { h.Time++ }, 3, true},
		{"behind another head", func(h *pbft.Header) { h.Seq, h.Parent = h.Seq+1, pbft.Digest{1} }, 0, true},
		{"nobody has signed", func(h *pbft.Header) { h.Time++ }, 1, false},
	} {
		w := newWorld(t, 4)
		w.run(1100 * time.Millisecond)
		victim, liar := w.nodes[3], w.nodes[0]
		for i := range 5 {
			victim.submit(0, 10, uint64(i), put(i))
			w.run(50 * time.Millisecond)
		}
		if len(victim.chain) < 5 {
			t.Fatalf("%d blocks", len(victim.chain))
		}
		h := victim.chain[len(victim.chain)-1-c.back].Header
		c.forge(&h)
		d := w.decision(0, &h, w.nodes[:3]...)
		if !c.signed {
			d.Cert.Sigs[0].Sig[0]++
		}
		for range 3 {
			victim.hears(liar.at, driver.Proposals, codec.Message{Message: d})
		}
		w.run(50 * time.Millisecond)
		forks := 0
		for _, kept := range victim.disk.kept {
			if f, ok := kept.(*driver.Fork); ok && f.Second.Cert.Digest == d.Cert.Digest {
				forks++
			}
		}
		if halted := strings.Contains(victim.view.Halted, "forked"); halted != c.signed || (forks == 1) != c.signed {
			t.Errorf("%s: halted %q, %d forks are kept", c.name, victim.view.Halted, forks)
		}
	}
}
