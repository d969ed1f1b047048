package archive_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// Ten thousand renewals and one change of the validators make one hop, and a receipt
// that is as small as that.
func TestRenewalsMakeNoHops(t *testing.T) {
	const renewals = 10_000
	a := open(t, inMemory())
	defer closed(t, a)
	w := newWorld(state(t, a))
	w.perEpoch, w.perSet, w.perBlock = 1, renewals, 1
	for n := range renewals + 3 {
		e := w.next(t)
		e.Stateless = n > 0
		mustAppend(t, a, e)
	}
	if got := hopsOf(t, a, 0); len(got) != 1 || got[0] != renewals {
		t.Fatalf("hops at %d, want one at %d", got, renewals)
	}
	first, last := validators(0).Digest(), validators(1).Digest()
	for _, c := range []struct {
		from pbft.Digest
		seq  uint64
		hops int
		err  error
	}{
		{first, 1, 0, nil},
		{first, renewals, 0, nil},
		{first, renewals + 1, 1, nil},
		{first, renewals + 2, 1, nil},
		{last, renewals + 2, 0, nil},
		{last, 7, 0, receipt.ErrTrust},
		{pbft.Digest{1}, 7, 0, receipt.ErrTrust},
		{first, renewals + 3, 0, archive.ErrNotFound},
	} {
		hops, err := a.Path(c.from, c.seq)
		if len(hops) != c.hops || !errors.Is(err, c.err) {
			t.Errorf("to block %d: %d hops, %v, want %d, %v", c.seq, len(hops), err, c.hops, c.err)
		}
	}
	size := func(seq uint64) int {
		d, err := a.Decision(seq)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := a.Batch(seq)
		if err != nil {
			t.Fatal(err)
		}
		hops, err := a.Path(first, seq)
		if err != nil {
			t.Fatal(err)
		}
		r, err := receipt.New(pbft.Digest{}, hops, d, batch.IDs(), 0, batch[0])
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return len(data)
	}
	if before, after, changed := size(1), size(renewals), size(renewals+1); after > before+50 || changed > before+3000 {
		t.Errorf("a receipt has %d bytes at first, %d after the renewals, %d after the change", before, after, changed)
	}
	if r := check(t, a); r.Hops != 1 || r.Epochs != renewals+2 {
		t.Errorf("report %+v", r)
	}
}

// A checkpoint that is the last block of its epoch, or the first after a renewal, is
// installed with what starts the next epoch.
func TestTransferAtAnEpochsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		blocks, perSet uint64
		hops           int
		end            uint64 // the block that ends the epoch before, 0 if none is needed
	}{
		"a hop itself":      {20, 1, 2, 0},
		"a renewal itself":  {10, 3, 0, 0},
		"behind a renewal":  {13, 3, 0, 10},
		"behind a hop":      {11, 1, 1, 10},
		"in the first":      {7, 1, 0, 0},
		"behind one each":   {45, 3, 1, 40},
		"behind a hop late": {35, 3, 1, 30},
	} {
		for on, m := range media(t) {
			t.Run(name+" "+on, func(t *testing.T) {
				w := newWorld(smt.Map{})
				w.perSet = c.perSet
				entries := w.blocks(t, int(c.blocks)+1)
				e := entries[c.blocks]
				var hops []receipt.Hop
				for i := range entries {
					if d := entries[i].Decision; receipt.Leads(&d.Header) {
						hops = append(hops, receipt.Hop{Header: d.Header, Cert: d.Cert, Validators: entries[i].Validators})
					}
				}
				var end *pbft.Decision
				if c.end > 0 {
					end = entries[c.end].Decision
				}
				a := open(t, m)
				tr := begin(t, a, e)
				if !send(t, tr, e.State, 1000) {
					t.Fatal("chunks are missing")
				}
				if err := tr.Install(hops, end); err != nil {
					t.Fatal(err)
				}
				w.state = state(t, a)
				mustAppend(t, a, w.blocks(t, 12)...)
				for range 2 {
					check(t, a)
					if got := len(hopsOf(t, a, 0)); got < c.hops {
						t.Errorf("%d hops, want %d", got, c.hops)
					}
					// Whatever epoch the head is in, its beginning is known.
					seq, _ := a.Head()
					d, err := a.Decision(seq)
					if err != nil {
						t.Fatal(err)
					}
					if epoch := d.Header.Epoch; epoch > 0 {
						if before, err := a.EpochEnd(epoch - 1); err != nil || before.Header.Following() != d.Header.Committee {
							t.Errorf("epoch %d begins after %v, %v", epoch, before, err)
						}
					}
					if _, err := a.Path(validators(0).Digest(), seq); err != nil {
						t.Error(err)
					}
					closed(t, a)
					a = open(t, m)
				}
				closed(t, a)
			})
		}
	}
}
