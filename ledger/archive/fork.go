package archive

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Fork is two certified blocks that exclude each other.
type Fork struct {
	// First is the one that was here before. It is nil if it was not stored.
	First *pbft.Decision
	// Second is of the same sequence number, or follows another block than First.
	Second *pbft.Decision
	// Guilty are the validators of whom evidence shows that they signed what none may
	// sign, at most those of one committee.
	Guilty []sig.PublicKey
}

// PutFork keeps a fork, durable after the next Sync. The first one stays: what is seen
// later may be its consequence.
func (a *Archive) PutFork(f *Fork) error {
	if was, err := a.Fork(); err != nil || was != nil {
		return err
	}
	if n := len(f.Guilty); n > quorum.MaxReplicas {
		return fmt.Errorf("fork with %d guilty validators: %w", n, ErrTooLarge)
	}
	var first []byte
	if f.First != nil {
		first = codec.AppendDecision(nil, f.First)
	}
	b := wire.AppendFrame(nil, first)
	b = wire.AppendFrame(b, codec.AppendDecision(nil, f.Second))
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Guilty)))
	for _, key := range f.Guilty {
		b = append(b, key[:]...)
	}
	return a.putMeta(meta.key(kindFork), seal(b))
}

// Fork returns the first fork that was seen, and nil when there was none.
func (a *Archive) Fork() (*Fork, error) {
	b, err := a.get(meta.key(kindFork))
	if errors.Is(err, ErrNotFound) {
		return nil, nil // there is none, as a rule
	}
	if err != nil {
		return nil, err
	}
	f, err := decodeFork(b)
	if err != nil {
		return nil, fmt.Errorf("fork: %w: %w", ErrCorrupt, err)
	}
	return f, nil
}

func decodeFork(b []byte) (*Fork, error) {
	b, err := open(b)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(b)
	first, second, number := frame(&d), frame(&d), d.Bytes(2)
	if d.Err() != nil {
		return nil, d.Err()
	}
	f := &Fork{}
	for range binary.BigEndian.Uint16(number) {
		var key sig.PublicKey
		copy(key[:], d.Bytes(len(key)))
		f.Guilty = append(f.Guilty, key)
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	if len(first) > 0 {
		if f.First, err = codec.DecodeDecision(first); err != nil {
			return nil, err
		}
	}
	f.Second, err = codec.DecodeDecision(second)
	return f, err
}
