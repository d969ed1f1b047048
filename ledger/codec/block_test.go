package codec_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

func TestBlocksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawBlock(t)
		got, err := codec.DecodeBlock(codec.AppendBlock(nil, want), codec.Limits{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestHopsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawHop(t)
		got, err := codec.DecodeHop(codec.AppendHop(nil, &want))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestHeadsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawHead(t)
		got, err := codec.DecodeHead(codec.AppendHead(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// Whatever is cut short, longer than it should be, or of other validators than the
// header names, is refused.
func TestMalformedBlocksAreRefused(t *testing.T) {
	cert := signed(0, 1, 2)
	last := &codec.Block{Decision: &pbft.Decision{Header: pbft.Header{Epoch: 1, Seq: 2, Next: sets[2].Digest()}, Cert: cert}, Body: []byte{0}, Next: sets[2]}
	hop := rapid.Custom(drawHop).Example(1)
	head := rapid.Custom(drawHead).Example(3)
	block := func(b []byte) error { _, err := codec.DecodeBlock(b, codec.Limits{}); return err }
	for name, c := range map[string]struct {
		b      []byte
		decode func([]byte) error
	}{
		"the last block of an epoch": {codec.AppendBlock(nil, last), block},
		"a block":                    {codec.AppendBlock(nil, &codec.Block{Decision: &pbft.Decision{Cert: cert}, Body: []byte{0}}), block},
		"a hop":                      {codec.AppendHop(nil, &hop), func(b []byte) error { _, err := codec.DecodeHop(b); return err }},
		"a head":                     {codec.AppendHead(nil, head), func(b []byte) error { _, err := codec.DecodeHead(b); return err }},
	} {
		if err := c.decode(c.b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for n := range len(c.b) {
			if err := c.decode(c.b[:n:n]); !errors.Is(err, pbft.ErrMalformed) {
				t.Fatalf("%s cut to %d of %d bytes: %v", name, n, len(c.b), err)
			}
		}
		if err := c.decode(append(bytes.Clone(c.b), 0)); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
		if err := c.decode(append([]byte{0x41}, c.b[1:]...)); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s of another kind: %v", name, err)
		}
	}
	other := *last
	other.Next = sets[1]
	without := *last
	without.Next = nil
	early := rapid.Custom(drawHop).Example(2)
	early.Header.Next = pbft.Digest{}
	strangers := genesis.ValidatorSet{sig.PublicKey{1}} // a key that nobody can hold
	weak := *last
	weak.Decision = &pbft.Decision{Header: pbft.Header{Next: strangers.Digest()}, Cert: cert}
	weak.Next = strangers
	for name, b := range map[string][]byte{
		"other validators than it names": codec.AppendBlock(nil, &other),
		"validators missing":             codec.AppendBlock(nil, &without),
		"a key that nobody can hold":     codec.AppendBlock(nil, &weak),
	} {
		if err := block(b); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	renewal := *last
	renewal.Decision = &pbft.Decision{Header: pbft.Header{Committee: sets[1].Digest(), Next: sets[1].Digest()}, Cert: cert}
	renewal.Next = nil // who they are is known
	if err := block(codec.AppendBlock(nil, &renewal)); err != nil {
		t.Errorf("a renewal: %v", err)
	}
	if _, err := codec.DecodeHop(codec.AppendHop(nil, &receipt.Hop{Header: renewal.Decision.Header, Cert: cert, Validators: sets[1]})); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a renewal as a hop: %v", err)
	}
	if _, err := codec.DecodeHop(codec.AppendHop(nil, &early)); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a hop to nobody: %v", err)
	}
	cert = largest(quorum.MaxReplicas, 1).Changes[0].Base
	full := codec.Head{Tip: &pbft.Decision{Cert: cert}, Checkpoint: &pbft.Decision{Cert: cert}, End: &pbft.Decision{Cert: cert}, Earliest: wire.MaxUvarint}
	if _, err := codec.DecodeHead(codec.AppendHead(nil, &full)); err != nil {
		t.Errorf("the largest certificates: %v", err)
	}
}

func TestBlocksKeepTheLimits(t *testing.T) {
	limits := codec.Limits{BlockBytes: 1 << 10}
	x := &codec.Block{Decision: &pbft.Decision{Cert: signed(0)}, Body: make([]byte, 1<<10)}
	if _, err := codec.DecodeBlock(codec.AppendBlock(nil, x), limits); err != nil {
		t.Error(err)
	}
	x.Body = append(x.Body, 0)
	if _, err := codec.DecodeBlock(codec.AppendBlock(nil, x), limits); !errors.Is(err, pbft.ErrMalformed) {
		t.Errorf("a body that is too large: %v", err)
	}
	if most := (codec.Limits{}).MaxBlock(); most > tx.MaxBatchSize+genesis.FrameRoom {
		t.Errorf("a block of up to %d bytes", most)
	}
	// The largest block of all.
	for r := range quorum.Replica(quorum.MaxReplicas) {
		x.Next = append(x.Next, sig.FromSeed([32]byte{byte(r), 1}).Public())
	}
	x.Decision = &pbft.Decision{Header: pbft.Header{Next: x.Next.Digest()}, Cert: largest(quorum.MaxReplicas, 1).Changes[0].Base}
	x.Body = make([]byte, tx.MaxBatchSize)
	b := codec.AppendBlock(nil, x)
	if most := (codec.Limits{}).MaxBlock(); len(b) != most {
		t.Errorf("%d bytes, at most %d", len(b), most)
	}
	if _, err := codec.DecodeBlock(b, codec.Limits{}); err != nil {
		t.Error(err)
	}
}
