package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

var (
	// ErrClosed is returned for a transaction after one that changed the validators:
	// the block is the last of its epoch.
	ErrClosed = errors.New("the block ends with a change of the validators")
	// ErrFull is returned for a transaction with which the block would have more
	// transactions or bytes than the parameters allow.
	ErrFull = errors.New("the block is full")
)

// Block executes the transactions of one block on top of a state. It is for one
// goroutine; any number of blocks may be on top of one state.
type Block struct {
	base   smt.Map
	policy admission.Policy
	seq    uint64
	time   int64

	// changes are what the block has changed so far, one for each key, and index
	// where the change of a key is.
	changes []smt.Change
	index   map[string]int

	count uint64
	bytes int // of the transactions in a body, without their number

	params *genesis.Params      // nil until they are needed
	set    genesis.ValidatorSet // nil until it is needed
	closed bool                 // set is that of the next epoch

	pending []smt.Change // the memory of step.changes
	scratch []byte       // where entries are encoded before their length is known
}

// Apply carries out a transaction whose network and signature were verified. It
// returns a *[tx.Rejection] when the state does not permit it, ErrClosed or ErrFull
// when the block takes it no more, and otherwise an error of the map, which is no
// verdict on the transaction. With any error the block is as it was.
//
// Nothing of the transaction's memory is kept.
func (b *Block) Apply(t *tx.Transaction) error {
	if b.closed {
		return ErrClosed
	}
	p, err := b.parameters()
	if err != nil {
		return err
	}
	size := b.bytes + tx.EncodedSize(t)
	if b.count >= p.MaxBlockTransactions || uint64(size)+maxCount > p.MaxBlockBytes { // not negative
		return ErrFull
	}
	s := step{block: b, tx: t, params: *p, changes: b.pending[:0]}
	err = s.run()
	b.pending = s.changes
	if err != nil {
		return err
	}
	for i := range s.changes {
		b.put(&s.changes[i])
	}
	b.count++
	b.bytes = size
	if s.newParams != nil {
		b.params = s.newParams
	}
	if s.newSet != nil {
		b.set, b.closed = s.newSet, true
	}
	return nil
}

// maxCount is the length of the number of transactions before them in a body, at most.
const maxCount = 2

// Finish returns the state after the block, and the validators of the next epoch
// when the block is the last of its own, nil otherwise. They may be the same: see
// the package comment on taking one's place anew. Errors are the map's.
func (b *Block) Finish() (State, genesis.ValidatorSet, error) {
	m, err := b.base.Apply(b.changes)
	if err != nil {
		return State{}, nil, fmt.Errorf("state: block %d: %w", b.seq, err)
	}
	if b.closed {
		return State{entries: m, policy: b.policy}, b.set, nil
	}
	return State{entries: m, policy: b.policy}, nil, nil
}

// Get returns a value as the block has left it so far.
func (b *Block) Get(key []byte) (value []byte, ok bool, err error) {
	if i, ok := b.index[string(key)]; ok {
		c := &b.changes[i]
		return c.Value, !c.Delete, nil
	}
	return b.base.Get(key)
}

func (b *Block) put(c *smt.Change) {
	if i, ok := b.index[string(c.Key)]; ok {
		b.changes[i] = *c
		return
	}
	b.index[string(c.Key)] = len(b.changes)
	b.changes = append(b.changes, *c)
}

func (b *Block) parameters() (*genesis.Params, error) {
	if b.params == nil {
		p, err := paramsOf(b)
		if err != nil {
			return nil, err
		}
		b.params = &p
	}
	return b.params, nil
}

func (b *Block) validators() (genesis.ValidatorSet, error) {
	if b.set == nil {
		set, err := validatorsOf(b)
		if err != nil {
			return nil, err
		}
		b.set = set
	}
	return b.set, nil
}

// step is one transaction that is carried out. It reads the block and collects what
// it changes, so that a transaction that turns out not to be permitted has changed
// nothing. A step does not read what it has put.
type step struct {
	block   *Block
	tx      *tx.Transaction
	params  genesis.Params
	account Account // the owner's
	changes []smt.Change

	newParams *genesis.Params
	newSet    genesis.ValidatorSet
}

func (s *step) run() error {
	if !s.tx.Op.Type().Governs() {
		if err := s.block.policy.Allowed(s.tx.Owner, s.tx.Op.Type(), s.block.time); err != nil {
			return err
		}
	}
	var known bool
	var err error
	if s.account, known, err = read(s.block, AccountKey(s.tx.Owner), ParseAccount); err != nil {
		return err
	}
	if !known {
		s.account.Created = s.block.time
	}
	if s.account.Nonces, err = s.account.Nonces.use(s.tx.Nonce, s.params.NonceWindow); err != nil {
		return err
	}
	if err := s.operate(); err != nil {
		return err
	}
	putEntry(s, AccountKey(s.tx.Owner), s.account)
	return s.charge()
}

func (s *step) operate() error {
	switch op := s.tx.Op.(type) {
	case tx.SnapshotRegister:
		return s.register(op)
	case tx.SnapshotRetire:
		return s.retire(op)
	case tx.NameClaim:
		return s.claim(op)
	case tx.NameTransfer:
		return s.transfer(op)
	case tx.NameAccept:
		return s.accept(op)
	case tx.RecordPut:
		return s.record(op)
	case tx.ValidatorAdd, tx.ValidatorRemove, tx.ParamsSet:
		return s.vote(op)
	default:
		return tx.Reject(tx.CodeInvalid, "%T is no operation", op)
	}
}

func (s *step) put(key, value []byte) {
	s.changes = append(s.changes, smt.Change{Key: key, Value: value})
}

// putEntry is put for an entry, which takes the memory that it needs and no more: it
// stays in the map.
func putEntry[T interface{ appendTo(b []byte) []byte }](s *step, key []byte, entry T) {
	b := s.block
	b.scratch = entry.appendTo(b.scratch[:0])
	s.put(key, bytes.Clone(b.scratch))
}

func (s *step) drop(key []byte) {
	s.changes = append(s.changes, smt.Change{Key: key, Delete: true})
}

// origin returns what entries say that come from the transaction.
func (s *step) origin() Origin {
	return Origin{Tx: s.tx.ID(), Seq: s.block.seq, Time: s.block.time}
}
