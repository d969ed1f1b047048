package receipt_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// Every transaction of a ledger of 4, then 7, then 4 validators has a receipt.
func TestVerify(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	for seq := 1; seq <= len(w.blocks); seq++ {
		for i := range txsPerBlock {
			b := w.blocks[seq-1]
			got, err := receipt.Verify(w.receipt(seq, i), receipt.FromGenesis(w.g), sigs)
			if err != nil {
				t.Fatalf("transaction %d of block %d: %v", i, seq, err)
			}
			want := receipt.Result{
				Transaction: b.body[i], Owner: keyOf('o', i).Public(), Op: b.body[i].Op, Network: "test",
				Block: uint64(seq), Digest: b.decision.Header.Digest(), Epoch: uint64(seq-1) / blocksPerEpoch,
				Time: time.UnixMilli(1767319445678 + int64(seq)*blockTime).UTC(), Trusted: w.set(0).Digest(),
			}
			want.Set, want.Hops = w.set(int(want.Epoch)).Digest(), int(want.Epoch)
			want.Validators = []int{4, 7, 4}[want.Epoch]
			want.Quorum = []int{3, 5, 3}[want.Epoch]
			set := w.set(int(want.Epoch))
			for _, r := range w.quorum(want.Epoch) {
				want.Signers = append(want.Signers, receipt.Signer{Replica: r, Key: set[r], Name: w.g.Name(set[r])})
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("transaction %d of block %d: got %+v, want %+v", i, seq, got, want)
			}
		}
	}
}

// Validators keep their names from one epoch to the next, and strangers to the
// genesis have none.
func TestSignersAreNamedByTheirKeys(t *testing.T) {
	w := newWorld(t, "test", 4, 4, 4)
	got, err := receipt.Verify(w.receipt(9, 0), receipt.FromGenesis(w.g), sigs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range got.Signers {
		names = append(names, s.Name)
	}
	if want := []string{"validator 3", "", ""}; !reflect.DeepEqual(names, want) {
		t.Errorf("signers are %q, want %q", names, want)
	}
}

func TestMoreThanAQuorumMaySign(t *testing.T) {
	w := newWorld(t, "test", 4)
	r := w.receipt(2, 1)
	r.Cert = w.sign(pbft.Commit, &r.Header, 0, 1, 2, 3)
	if got, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs); err != nil || len(got.Signers) != 4 {
		t.Errorf("%d signers, %v", len(got.Signers), err)
	}
}

// What is wrong is said with the part and the reason.
func TestVerifyRefuses(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	other := newWorld(t, "other", 4, 7, 4)
	fork := newWorld(t, "test", 4, 4, 4)
	for name, c := range map[string]struct {
		seq    int
		change func(*receipt.Receipt)
		want   []error
	}{
		"another ledger's": {1, func(r *receipt.Receipt) { *r = *other.receipt(1, 2) }, []error{receipt.ErrGenesis}},
		"another ledger's under this one's ID": {1, func(r *receipt.Receipt) {
			*r = *other.receipt(1, 2)
			r.Genesis = w.g.ID()
		}, []error{receipt.ErrGenesis}},
		"no transaction":     {1, func(r *receipt.Receipt) { r.Transaction = nil }, []error{receipt.ErrMalformed}},
		"another":            {1, func(r *receipt.Receipt) { r.Transaction = w.blocks[1].body[0] }, []error{receipt.ErrInclusion}},
		"at another place":   {1, func(r *receipt.Receipt) { r.Index++ }, []error{receipt.ErrInclusion}},
		"beyond the block":   {1, func(r *receipt.Receipt) { r.Index = 1 << 31 }, []error{receipt.ErrInclusion}},
		"a longer proof":     {1, func(r *receipt.Receipt) { r.Proof = append(r.Proof, tx.ID{}) }, []error{receipt.ErrInclusion}},
		"an endless proof":   {1, func(r *receipt.Receipt) { r.Proof = make(tx.Proof, 1000) }, []error{receipt.ErrInclusion}},
		"a proof of a node":  {1, func(r *receipt.Receipt) { r.Proof, r.Header.Count = r.Proof[1:], 3; w.recommit(r) }, []error{receipt.ErrInclusion}},
		"an endless block":   {1, func(r *receipt.Receipt) { r.Header.Count = 1 << 31; w.recommit(r) }, []error{receipt.ErrInclusion}},
		"an empty block":     {1, func(r *receipt.Receipt) { r.Header.Count = 0; w.recommit(r) }, []error{receipt.ErrInclusion}},
		"somebody else's":    {1, func(r *receipt.Receipt) { stolen(w, r) }, []error{receipt.ErrTransaction}},
		"2f signatures":      {1, func(r *receipt.Receipt) { r.Cert = w.sign(pbft.Commit, &r.Header, 1, 3) }, []error{receipt.ErrBlock, receipt.ErrQuorum}},
		"no signatures":      {1, func(r *receipt.Receipt) { r.Cert.Sigs = nil }, []error{receipt.ErrBlock, receipt.ErrQuorum}},
		"one of them twice":  {1, func(r *receipt.Receipt) { r.Cert = w.sign(pbft.Commit, &r.Header, 1, 2, 2) }, []error{receipt.ErrBlock, receipt.ErrQuorum}},
		"PREPARE":            {1, func(r *receipt.Receipt) { r.Cert = w.sign(pbft.Prepare, &r.Header, 1, 2, 3) }, []error{receipt.ErrBlock, receipt.ErrCertificate}},
		"CHECKPOINT":         {1, func(r *receipt.Receipt) { r.Cert = w.sign(pbft.Checkpoint, &r.Header, 1, 2, 3) }, []error{receipt.ErrBlock, receipt.ErrCertificate}},
		"PREPARE as COMMIT":  {1, func(r *receipt.Receipt) { r.Cert = w.sign(pbft.Prepare, &r.Header, 1, 2, 3); repair(r) }, []error{receipt.ErrBlock, receipt.ErrSignature}},
		"of the next block":  {1, func(r *receipt.Receipt) { r.Cert = w.blocks[1].decision.Cert }, []error{receipt.ErrBlock, receipt.ErrCertificate}},
		"signatures swapped": {1, func(r *receipt.Receipt) { s := r.Cert.Sigs; s[0].Sig, s[1].Sig = s[1].Sig, s[0].Sig }, []error{receipt.ErrBlock, receipt.ErrSignature}},
		"out of order":       {1, func(r *receipt.Receipt) { s := r.Cert.Sigs; s[0], s[1] = s[1], s[0] }, []error{receipt.ErrBlock, receipt.ErrCertificate}},
		"one bad signature":  {1, func(r *receipt.Receipt) { r.Cert.Sigs[2].Sig[0] ^= 1 }, []error{receipt.ErrBlock, receipt.ErrSignature}},
		"a stranger":         {1, func(r *receipt.Receipt) { r.Cert.Sigs[2].Replica = 4 }, []error{receipt.ErrBlock, receipt.ErrSigner}},
		"the old validators": {4, func(r *receipt.Receipt) { r.Header.Epoch = 0; w.recommit(r); r.Header.Epoch = 1; repair(r) }, []error{receipt.ErrBlock, receipt.ErrQuorum}},
		"before its epoch": {7, func(r *receipt.Receipt) {
			r.Header.Epoch = 1
			r.Cert = w.signBy(2, pbft.Commit, &r.Header, w.quorum(2)...)
		}, []error{receipt.ErrBlock, receipt.ErrOrder}},
		"before its set":    {4, func(r *receipt.Receipt) { r.Header.Seq = 3; w.recommit(r) }, []error{receipt.ErrBlock, receipt.ErrOrder}},
		"too old":           {4, func(r *receipt.Receipt) { r.Header.Time -= 2 * blockTime; w.recommit(r) }, []error{receipt.ErrBlock, receipt.ErrOrder}},
		"on another parent": {4, func(r *receipt.Receipt) { r.Header.Parent[0] ^= 1; w.recommit(r) }, []error{receipt.ErrBlock, receipt.ErrOrder}},
		"the genesis block": {1, func(r *receipt.Receipt) { r.Header.Seq = 0; w.recommit(r) }, []error{receipt.ErrBlock, receipt.ErrOrder}},

		"no hops":              {7, func(r *receipt.Receipt) { r.Hops = nil }, []error{receipt.ErrBlock, receipt.ErrSet}},
		"the last one missing": {7, func(r *receipt.Receipt) { r.Hops = r.Hops[:1] }, []error{receipt.ErrBlock, receipt.ErrSet}},
		"one skipped":          {7, func(r *receipt.Receipt) { r.Hops = r.Hops[1:] }, []error{receipt.ErrHop, receipt.ErrSet}},
		"one twice":            {7, func(r *receipt.Receipt) { r.Hops[1] = r.Hops[0] }, []error{receipt.ErrHop}},
		"one too many":         {3, func(r *receipt.Receipt) { r.Hops = w.hops[:1] }, []error{receipt.ErrHop}},
		"not the last block": {7, func(r *receipt.Receipt) {
			d := w.blocks[1].decision
			r.Hops[0].Header, r.Hops[0].Cert = d.Header, d.Cert
		}, []error{receipt.ErrHop}},
		"validators swapped": {7, func(r *receipt.Receipt) {
			v := r.Hops[0].Validators
			v[0], v[1] = v[1], v[0]
		}, []error{receipt.ErrHop}},
		"other validators": {7, func(r *receipt.Receipt) { r.Hops[0].Validators = w.set(0) }, []error{receipt.ErrHop}},
		"no validators":    {7, func(r *receipt.Receipt) { r.Hops[0].Validators = nil }, []error{receipt.ErrHop, genesis.ErrInvalid}},
		"a validator twice": {7, func(r *receipt.Receipt) {
			t := &r.Hops[0]
			t.Validators[1] = t.Validators[0]
			t.Header.Next = t.Validators.Digest()
			t.Cert = w.commit(&t.Header)
		}, []error{receipt.ErrHop, genesis.ErrInvalid}},
		"validators of one's own": {5, func(r *receipt.Receipt) {
			t := &r.Hops[0]
			t.Validators = append(t.Validators[:6:6], keyOf('x', 0).Public())
			t.Header.Next = t.Validators.Digest()
			r.Header.Committee = t.Header.Next
			repair(r)
		}, []error{receipt.ErrHop, receipt.ErrSignature}},
		"hop with 2f": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Cert = w.sign(pbft.Commit, &t.Header, 0, 2, 4, 6)
		}, []error{receipt.ErrHop, receipt.ErrQuorum}},
		"hop by PREPARE": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Cert = w.sign(pbft.Prepare, &t.Header, w.quorum(1)...)
		}, []error{receipt.ErrHop, receipt.ErrCertificate}},
		"a block of another committee": {7, func(r *receipt.Receipt) {
			r.Header.Committee = genesis.ValidatorSet{keyOf('x', 1).Public()}.Digest()
			w.recommit(r)
		}, []error{receipt.ErrBlock, receipt.ErrSet}},
		"a block of the first committee, behind hops": {7, func(r *receipt.Receipt) {
			r.Header.Committee = w.set(0).Digest()
			w.recommit(r)
		}, []error{receipt.ErrHop}},
		"hop into the past": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Header.Seq = 2
			t.Cert = w.commit(&t.Header)
		}, []error{receipt.ErrHop, receipt.ErrOrder}},
		"hop into an earlier epoch": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Header.Epoch = 0
			t.Cert = w.signBy(1, pbft.Commit, &t.Header, w.quorum(1)...)
		}, []error{receipt.ErrHop, receipt.ErrOrder}},
		"hop into an earlier time": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Header.Time -= 10 * blockTime
			t.Cert = w.commit(&t.Header)
		}, []error{receipt.ErrHop, receipt.ErrOrder}},
		"hop to the same set": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Header.Next, t.Validators = t.Header.Committee, w.set(1)
			t.Cert = w.commit(&t.Header)
		}, []error{receipt.ErrHop}},
		"hop of a block that is not the last": {7, func(r *receipt.Receipt) {
			t := &r.Hops[1]
			t.Header.Next = pbft.Digest{}
			t.Cert = w.commit(&t.Header)
		}, []error{receipt.ErrHop}},
		"another history": {7, func(r *receipt.Receipt) { r.Hops = fork.hops }, []error{receipt.ErrBlock}},
	} {
		r := w.receipt(c.seq, 2)
		c.change(r)
		got, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs)
		if !reflect.DeepEqual(got, receipt.Result{}) {
			t.Errorf("%s: a result beside the error %v", name, err)
		}
		if err == nil {
			t.Errorf("%s: verified", name)
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want one that is %q", name, err, want)
			}
		}
	}
}

// stolen puts a transaction into the block that its owner has not signed: its
// validators would have to conspire.
func stolen(w *world, r *receipt.Receipt) {
	w.tb.Helper()
	mine, err := tx.Sign(keyOf('x', 1), w.g.ID(), 1, tx.NameClaim{Name: "mine"})
	if err != nil {
		w.tb.Fatal(err)
	}
	theirs, err := tx.New(w.g.ID(), keyOf('o', 0).Public(), 1, mine.Op, mine.Signature)
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Transaction, r.Index, r.Proof = theirs, 0, nil
	r.Header.Count, r.Header.Body = 1, tx.Root([]tx.ID{theirs.ID()})
	w.recommit(r)
}

// The message names who is to blame.
func TestErrorNamesTheValidator(t *testing.T) {
	w := newWorld(t, "test", 4, 7)
	r := w.receipt(4, 0)
	r.Hops[0].Cert.Sigs[1].Sig[5] ^= 1
	_, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs)
	for _, want := range []string{"replica 2", w.set(0)[2].String(), "0/3:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, "test", 4)
	b := w.blocks[0]
	for name, i := range map[string]int{"another transaction": 1, "before the block": -1, "beyond it": txsPerBlock} {
		if _, err := receipt.New(w.g.ID(), nil, b.decision, b.body.IDs(), i, b.body[0]); !errors.Is(err, receipt.ErrInclusion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGenesisWithoutValidators(t *testing.T) {
	w := newWorld(t, "test", 4)
	if _, err := receipt.Verify(w.receipt(1, 0), receipt.FromGenesis(&genesis.Genesis{}), sigs); !errors.Is(err, genesis.ErrInvalid) || !errors.Is(err, quorum.ErrSize) {
		t.Error(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, bench := range []struct {
		name  string
		sizes []int
	}{
		{"validators=4", []int{4}},
		{"validators=7", []int{7}},
		{"validators=31", []int{31}},
		{"validators=7,hops=16", []int{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := newWorld(b, "test", bench.sizes...)
			r := w.receipt(len(w.blocks), 2)
			v := sig.NewVerifier(0)
			data, err := r.Encode()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := receipt.Verify(r, receipt.FromGenesis(w.g), v); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(data)), "file-bytes")
		})
	}
}
