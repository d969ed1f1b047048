package ledger

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/host"
)

// live returns the ledger, or an error once it has stopped by itself: then nothing
// may be asked of it any more.
func (r *running) live() (*ledger.Ledger, error) {
	if err := r.failed.Load(); err != nil {
		return nil, fmt.Errorf("%w: the ledger has stopped: %w; mend that and start the node again", api.ErrUnavailable, *err)
	}
	return r.ledger, nil
}

// Submit implements ledger.API, as the methods below do.
func (r *running) Submit(ctx context.Context, t *tx.Transaction) (ledger.Committed, error) {
	l, err := r.live()
	if err != nil {
		return ledger.Committed{}, err
	}
	return l.Submit(ctx, t)
}

// signable returns a *tx.Rejection for an operation that this node does not sign, though a
// block may have it: one that gives a validator an address at which nobody can reach it.
func signable(op tx.Op) error {
	add, ok := op.(tx.ValidatorAdd)
	if !ok || add.Address == "" {
		return nil
	}
	id, err := peerOf(add.Key)
	if err != nil {
		return tx.Reject(tx.CodeInvalid, "key: %v", err)
	}
	infos, err := host.ParsePeers([]string{withID(add.Address, id)})
	switch {
	case err != nil:
		return tx.Reject(tx.CodeInvalid, "address: this node does not sign it: %v", err)
	case infos[0].ID != id:
		return tx.Reject(tx.CodeInvalid, "address: this node does not sign it: %q is that of another peer than %v", add.Address, id)
	}
	return nil
}

// Do implements ledger.API. What it does not sign is a *tx.Rejection.
func (r *running) Do(ctx context.Context, op tx.Op) (*tx.Transaction, ledger.Committed, error) {
	if err := signable(op); err != nil {
		return nil, ledger.Committed{}, err
	}
	l, err := r.live()
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	return l.Do(ctx, op)
}

// Status implements ledger.API. To the problem that the ledger knows of it adds what is
// wrong with the peers.
func (r *running) Status(ctx context.Context) (ledger.Status, error) {
	l, err := r.live()
	if err != nil {
		return ledger.Status{}, err
	}
	st, err := l.Status(ctx)
	if err != nil {
		return ledger.Status{}, err
	}
	all := r.problems()
	if st.Problem != "" {
		all = append([]string{st.Problem}, all...)
	}
	st.Problem = strings.Join(all, "; ")
	return st, nil
}

// Block implements ledger.API.
func (r *running) Block(ctx context.Context, seq uint64) (*ledger.Block, error) {
	l, err := r.live()
	if err != nil {
		return nil, err
	}
	return l.Block(ctx, seq)
}

// Transaction implements ledger.API.
func (r *running) Transaction(ctx context.Context, id tx.ID) (*tx.Transaction, ledger.Committed, error) {
	l, err := r.live()
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	return l.Transaction(ctx, id)
}

// Registration implements ledger.API.
func (r *running) Registration(ctx context.Context, root tx.CID, owner sig.PublicKey) (*tx.Transaction, ledger.Committed, error) {
	l, err := r.live()
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	return l.Registration(ctx, root, owner)
}

// Name implements ledger.API.
func (r *running) Name(ctx context.Context, name string) (ledger.NameInfo, error) {
	l, err := r.live()
	if err != nil {
		return ledger.NameInfo{}, err
	}
	return l.Name(ctx, name)
}

// Standing implements ledger.API.
func (r *running) Standing(ctx context.Context, change tx.Op) (state.Standing, error) {
	l, err := r.live()
	if err != nil {
		return state.Standing{}, err
	}
	return l.Standing(ctx, change)
}

// Candidates implements ledger.API.
func (r *running) Candidates(ctx context.Context) ([]state.Candidate, error) {
	l, err := r.live()
	if err != nil {
		return nil, err
	}
	return l.Candidates(ctx)
}

// Receipt implements ledger.API.
func (r *running) Receipt(ctx context.Context, id tx.ID) ([]byte, error) {
	l, err := r.live()
	if err != nil {
		return nil, err
	}
	return l.Receipt(ctx, id)
}

// NextNonce implements ledger.API.
func (r *running) NextNonce(ctx context.Context, owner sig.PublicKey) (uint64, error) {
	l, err := r.live()
	if err != nil {
		return 0, err
	}
	return l.NextNonce(ctx, owner)
}

// Watch implements ledger.API.
func (r *running) Watch(ctx context.Context, from uint64) iter.Seq2[*ledger.Block, error] {
	return func(yield func(*ledger.Block, error) bool) {
		l, err := r.live()
		if err != nil {
			yield(nil, err)
			return
		}
		for b, err := range l.Watch(ctx, from) {
			if !yield(b, err) {
				return
			}
		}
	}
}

var _ ledger.API = (*running)(nil)
