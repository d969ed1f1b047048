package exec

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
)

// Skew is how far a block's time may be from this replica's clock, in milliseconds.
const Skew = 10_000

// Verdict is what Check finds out about a block: a closed set.
type Verdict interface{ verdict() }

// Valid says that the block is what its header says.
type Valid struct{ Block *Block }

// Invalid says that it is not, whatever time it is: its leader is faulty.
type Invalid struct{ Reason error } // wraps ErrInvalid

// Wait says that the block's time is too far ahead of this replica's clock, and that it
// is to be looked at again at Until. It is neither valid nor invalid.
type Wait struct{ Until int64 } // Unix milliseconds

// NoVote says that the block's time was too far behind this replica's clock when the
// block came. Nobody is to blame, and nothing is to be answered.
type NoVote struct{ Behind int64 } // in milliseconds

func (Valid) verdict()   {}
func (Invalid) verdict() {}
func (Wait) verdict()    {}
func (NoVote) verdict()  {}

// Offer is a block to check.
type Offer struct {
	Header pbft.Header
	Body   *body.Content // whole
	// Vouched is set when a quorum has accepted the block in an earlier view, or has
	// certified it: whether its time is plausible is not asked again.
	Vouched bool
	// Came is when the offer came, by this replica's clock, in Unix milliseconds.
	Came int64
}

// Check says what a block is, at an instant in Unix milliseconds. What is cheap to find
// out comes first: a block that has to wait is not carried out. The error is the state
// reader's, and no verdict.
func Check(parent *Tip, o *Offer, now int64) (Verdict, error) {
	if err := follows(parent, &o.Header); errors.Is(err, ErrInvalid) {
		return Invalid{err}, nil
	}
	if !o.Body.Whole() {
		return nil, fmt.Errorf("checking block %d: transactions are missing", o.Header.Seq)
	}
	if verdict := o.timely(now); verdict != nil {
		return verdict, nil
	}
	done, err := run(parent, &o.Header, o.Body)
	switch {
	case errors.Is(err, ErrInvalid):
		return Invalid{err}, nil
	case err != nil:
		return nil, err
	}
	return Valid{done}, nil
}

// timely returns nil when nothing is wrong with the block's time. It subtracts from
// clocks, which are within the range of dates, and not from the header's time, which a
// faulty leader may put at either end of the integers.
func (o *Offer) timely(now int64) Verdict {
	switch {
	case o.Vouched:
		return nil
	case o.Header.Time > now+Skew:
		return Wait{Until: o.Header.Time - Skew}
	case o.Header.Time < min(o.Came, now)-Skew:
		// A clock that was put back meanwhile is right now rather than before.
		return NoVote{Behind: min(o.Came, now) - o.Header.Time}
	}
	return nil
}
