package state

import (
	"fmt"
	"time"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

const (
	// EntryCost is what a new entry costs beyond its bytes: what the authenticated map
	// and its store hold of it besides.
	EntryCost = 512
	// IndexCost is what the archive needs to find a transaction.
	IndexCost = 20
	// BlockCost is what a block costs beside its transactions and its certificate: its
	// header, with the record that the archive has of it. The first transaction is charged.
	BlockCost = 512
	// SignatureCost is what each signature costs that a block's certificate needs.
	SignatureCost = 66
	// memberCost is what each validator of the next epoch costs in a proof of who they are.
	memberCost = 64
	// GovernanceBytesPerDay is how much each validator's votes may add to the ledger,
	// whatever others have added: votes must go through when nothing else does.
	GovernanceBytesPerDay = 16 << 20

	dayMillis = 24 * 60 * 60 * millis
	// burstPart is which part of a day's bytes can be added at once.
	burstPart = 4
)

// bucket is a token bucket of bytes that fills as block time passes, at so many
// bytes a day, up to a quarter of a day's.
type bucket struct {
	level uint64 // bytes
	// part is what has come of the next byte, in parts of which dayMillis make one:
	// without it, blocks in quick succession would add nothing.
	part uint64
	at   int64 // the block time up to which it has filled, Unix milliseconds
}

// filled returns the bucket as it is at a block time, all of the time since it filled
// last counted at the rate given. A rate is at most genesis.MaxGrowth, or products
// overflow.
func (b bucket) filled(now int64, rate uint64) bucket {
	if now > b.at {
		// A quarter of a day fills any bucket. The difference of two int64s fits an
		// uint64, whatever their signs.
		elapsed := min(uint64(now)-uint64(b.at), dayMillis/burstPart)
		n := elapsed*rate + b.part
		b.level += n / dayMillis
		b.part = n % dayMillis
		b.at = now
	}
	if burst := rate / burstPart; b.level >= burst {
		b.level, b.part = burst, 0
	}
	return b
}

// wait returns how long it takes until a bucket that has filled has so many bytes,
// which are more than it has and at most a burst.
func (b bucket) wait(bytes, rate uint64) time.Duration {
	seconds := (bytes - b.level) * (dayMillis / millis) / rate
	return time.Duration(seconds+1) * time.Second
}

func (b bucket) appendTo(to []byte) []byte {
	to = appendFixed(append(to, version), b.level)
	to = appendFixed(to, b.part)
	return appendFixed(to, uint64(b.at))
}

// parseBucket reads a bucket's entry, and returns ErrMalformed for what no such entry is.
func parseBucket(value []byte) (bucket, error) {
	d := decoder(value)
	b := bucket{level: fixed(&d), part: fixed(&d), at: int64(fixed(&d))}
	if b.level > genesis.MaxGrowth/burstPart || b.part >= dayMillis {
		d.Fail(fmt.Errorf("%w: a bucket of %d bytes and %d parts", wire.ErrMalformed, b.level, b.part))
	}
	return finish(&d, b, "bucket")
}

// bucketAt returns a bucket as it is at a block time: full when there is none.
func bucketAt(from source, key []byte, now int64, rate uint64) (bucket, error) {
	b, ok, err := read(from, key, parseBucket)
	if err != nil {
		return bucket{}, err
	}
	if !ok {
		b = bucket{level: rate / burstPart, at: now}
	}
	return b.filled(now, rate), nil
}

// Growth returns how many bytes transactions can add to the ledger in a block of that
// time, governance aside, and false when they are not bounded.
func (s State) Growth(timeMillis int64) (left uint64, bounded bool, err error) {
	p, err := s.Params()
	if err != nil || p.GrowthBytesPerDay == 0 {
		return 0, false, err
	}
	b, err := bucketAt(s.entries, GrowthKey(), timeMillis, p.GrowthBytesPerDay)
	return b.level, true, err
}

// charge takes what the transaction costs out of its bucket, or returns a *Rejection.
// It comes after all that the transaction changes. Of the buckets themselves nothing
// is charged: each transaction writes the same one again.
func (s *step) charge() error {
	rate, key := s.params.GrowthBytesPerDay, GrowthKey()
	if rate == 0 {
		return nil
	}
	if s.tx.Op.Type().Governs() {
		rate, key = GovernanceBytesPerDay, VoterGrowthKey(s.tx.Owner)
	}
	cost, err := s.cost()
	if err != nil {
		return err
	}
	b, err := bucketAt(s.block, key, s.block.time, rate)
	if err != nil {
		return err
	}
	if cost > b.level {
		return tx.Reject(tx.CodeGrowth, "it would add %d bytes to the ledger, which may grow by %d a day and has room for %d; there is room in about %v",
			cost, rate, b.level, b.wait(cost, rate))
	}
	b.level -= cost
	if s.newSet != nil && s.tx.Op.Type().Governs() {
		if _, stays := s.newSet.Replica(s.tx.Owner); !stays {
			return nil // its bucket goes with it
		}
	}
	putEntry(s, key, b)
	return nil
}

// cost returns what the transaction adds to the ledger, in bytes: its encoding in a
// body, its place in the index, what each entry grows by, and EntryCost for each that is
// new; for the first one of a block, what there is of the block itself. The last block of
// an epoch is stored once more, to prove who comes next. What goes or shrinks gives nothing
// back: the archive has it for good.
func (s *step) cost() (uint64, error) {
	cost := uint64(tx.EncodedSize(s.tx)) + IndexCost
	if s.block.count == 0 || s.newSet != nil {
		block, err := s.block.cost()
		if err != nil {
			return 0, err
		}
		if s.block.count == 0 {
			cost += block
		}
		if s.newSet != nil {
			cost += block + memberCost*uint64(len(s.newSet))
		}
	}
	for i := range s.changes {
		c := &s.changes[i]
		if c.Delete {
			continue
		}
		old, had, err := s.block.Get(c.Key)
		switch {
		case err != nil:
			return 0, fmt.Errorf("state: entry %x: %w", c.Key, err)
		case !had:
			cost += uint64(len(c.Key)+len(c.Value)) + EntryCost
		case len(c.Value) > len(old):
			cost += uint64(len(c.Value) - len(old))
		}
	}
	return cost, nil
}

// cost returns what a block costs beside its transactions. It asks how many validators
// there are, and not who: to look at their keys would cost each block more time than a
// small one has otherwise.
func (b *Block) cost() (uint64, error) {
	n, err := validatorCount(b)
	if err != nil {
		return 0, err
	}
	committee, err := quorum.New(n)
	if err != nil {
		return 0, fmt.Errorf("state: the validators: %w", err)
	}
	return BlockCost + SignatureCost*uint64(committee.Quorum()), nil
}
