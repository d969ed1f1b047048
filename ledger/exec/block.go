package exec

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// Tip is the end of a chain that the next block stands on: a header and the state after
// it. It is an immutable value.
type Tip struct {
	Header pbft.Header
	Digest pbft.Digest // the header's
	State  state.State
}

// Epoch returns the epoch of the next block.
func (t *Tip) Epoch() uint64 {
	if t.Header.Last() {
		return t.Header.Epoch + 1
	}
	return t.Header.Epoch
}

// Block is a block that was carried out. It is immutable.
type Block struct {
	Tip  // the block's header, with the state after it
	Body *body.Content
	Next genesis.ValidatorSet // nil unless the block ends its epoch
}

var (
	// ErrInvalid is why a block cannot be what its header says. Errors that wrap it say
	// what exactly.
	ErrInvalid = errors.New("invalid block")
	// ErrBody is returned for a body that is not the one that a header names: whoever
	// sent it is to blame, and the header may be as good as any.
	ErrBody = errors.New("not the block's body")
)

// Redo carries out a block that a quorum has certified, fetched or found in the log, on
// top of its parent. The error wraps ErrBody for another body than the header names. It
// wraps ErrInvalid when carrying it out does not give what the header says: then this
// replica's state is not that of the quorum. All others are the state reader's.
func Redo(parent *Tip, h *pbft.Header, c *body.Content) (*Block, error) {
	if !c.Whole() || c.Root() != h.Body || uint64(len(c.IDs())) != uint64(h.Count) {
		return nil, fmt.Errorf("%w: block %d", ErrBody, h.Seq)
	}
	if err := follows(parent, h); err != nil {
		return nil, err
	}
	return run(parent, h, c)
}

// follows returns ErrInvalid unless a header may stand on its parent. What it says about
// the block's own content is for run to find out.
func follows(parent *Tip, h *pbft.Header) error {
	switch {
	case h.Parent != parent.Digest:
		return fmt.Errorf("%w: it stands on another block than %d", ErrInvalid, parent.Header.Seq)
	case h.Count == 0:
		// Whoever leads could make as many of them as he likes, and archives hold each for
		// ever. There is no need for any: blocks are made of what waits.
		return fmt.Errorf("%w: it has no transactions", ErrInvalid)
	case h.Seq != parent.Header.Seq+1:
		return fmt.Errorf("%w: number %d after %d", ErrInvalid, h.Seq, parent.Header.Seq)
	case h.Epoch != parent.Epoch():
		return fmt.Errorf("%w: epoch %d, not %d", ErrInvalid, h.Epoch, parent.Epoch())
	case h.Committee != parent.Header.Following():
		return fmt.Errorf("%w: another committee than epoch %d has", ErrInvalid, parent.Epoch())
	case h.Time < parent.Header.Time:
		return fmt.Errorf("%w: its time is %d ms before its parent's", ErrInvalid, parent.Header.Time-h.Time)
	}
	return nil
}

// run carries out a block and compares what comes of it with its header.
func run(parent *Tip, h *pbft.Header, c *body.Content) (*Block, error) {
	if uint64(len(c.IDs())) != uint64(h.Count) {
		return nil, fmt.Errorf("%w: its header says %d transactions, its body has %d", ErrInvalid, h.Count, len(c.IDs()))
	}
	if h.Body != c.Root() {
		return nil, fmt.Errorf("%w: transaction root", ErrInvalid)
	}
	applying := parent.State.Begin(h.Seq, h.Time)
	for i, t := range c.Batch() {
		switch err := applying.Apply(t); {
		case err == nil:
		case isRefusal(err):
			return nil, fmt.Errorf("%w: transaction %d: %w", ErrInvalid, i, err)
		default:
			return nil, fmt.Errorf("carrying out block %d: %w", h.Seq, err)
		}
	}
	after, next, err := applying.Finish()
	if err != nil {
		return nil, fmt.Errorf("carrying out block %d: %w", h.Seq, err)
	}
	if h.State != after.Root() {
		return nil, fmt.Errorf("%w: state root", ErrInvalid)
	}
	if h.Next != digestOf(next) {
		return nil, fmt.Errorf("%w: validators of the next epoch", ErrInvalid)
	}
	return &Block{Tip: Tip{Header: *h, Digest: h.Digest(), State: after}, Body: c, Next: next}, nil
}

// isRefusal reports whether a transaction was refused by the state's rules, rather than
// not looked at because the state could not be read.
func isRefusal(err error) bool {
	_, rejected := tx.CodeOf(err)
	return rejected || noRoom(err)
}

// noRoom reports whether a transaction was refused because of the block that it was to
// be in, and not because of what it asks for.
func noRoom(err error) bool { return errors.Is(err, state.ErrFull) || errors.Is(err, state.ErrClosed) }

// digestOf returns what a header says about the validators of the next epoch.
func digestOf(next genesis.ValidatorSet) pbft.Digest {
	if next == nil {
		return pbft.Digest{}
	}
	return next.Digest()
}
