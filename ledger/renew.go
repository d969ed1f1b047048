package ledger

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/decube/decube/ledger/tx"
)

const (
	// renewPause is how long a validator without its log waits after the first renewal
	// that failed. Each one more has it wait twice as long, up to maxRenewPause: the
	// state gives a validator few of them.
	renewPause    = 2 * time.Second
	maxRenewPause = 5 * time.Minute
	// renewPatience is how long a renewal is waited for before it is handed in again.
	renewPatience = 10 * time.Second
	// maxRenewals is how many renewals that this process has made are remembered.
	maxRenewals = 16
)

// renew has a validator that has lost its log take its place anew: a transaction of
// its own that ends the epoch. It was made after the loss, so that nothing which
// this replica has forgotten is of the epoch that follows.
func (l *Ledger) renew(ctx context.Context) error {
	if l.journal == nil || !l.journal.lost() {
		return nil
	}
	// What is signed on an old state is void at once. That this peer has all there is,
	// certified heads show, on an idle ledger as well as on a busy one. A peer that hears
	// of none asks all the same.
	timer := time.NewTimer(renewPause)
	defer timer.Stop()
	select {
	case <-l.reached:
	case <-timer.C:
	case <-ctx.Done():
		return nil
	}
	var t *tx.Transaction // handed in, and it may still be committed
	pause := renewPause
	// An attempt that nobody waits for any more is committed all the same, so that
	// what counts is whether one has been, not whether the last one was.
	for ctx.Err() == nil && l.renewed.Load() == 0 {
		wait := renewPause
		if e := l.epoch.Load(); e != nil && e.member {
			var err error
			if t, err = l.renewOnce(ctx, t); err == nil {
				return nil
			}
			if ctx.Err() == nil {
				l.log.Warn("taking this validator's place anew; trying again", "after", pause, "err", err)
			}
			wait, pause = pause, min(2*pause, maxRenewPause)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// renewOnce hands a renewal in and waits until it is committed: the one given, or a
// new one for nil. With the error it returns the one to hand in the next time, nil
// when that must be another.
func (l *Ledger) renewOnce(ctx context.Context, t *tx.Transaction) (*tx.Transaction, error) {
	if t == nil {
		var err error
		if t, err = l.newRenewal(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, renewPatience)
	defer cancel()
	_, err := l.Submit(ctx, t)
	if _, rejected := tx.CodeOf(err); rejected && err != nil {
		return nil, err
	}
	return t, err
}

// newRenewal makes a renewal like no other. Signatures are deterministic and a replica
// that has lost its disk uses its nonces again, so that without the salt it could be
// the very transaction that it made after an earlier loss: by then, this replica may
// have voted in the epoch that follows that one, and forgotten it.
func (l *Ledger) newRenewal() (*tx.Transaction, error) {
	op := tx.ValidatorAdd{Key: l.self, Replaces: l.self}
	if _, err := rand.Read(op.Salt[:]); err != nil {
		return nil, err
	}
	t, err := l.sign(op)
	if err != nil {
		return nil, err
	}
	// It is in the log before it leaves: after a restart it counts as well, and no second
	// one is asked for, of which there are few.
	if err := l.journal.renewal(op.Salt, t.ID()); err != nil {
		return nil, err
	}
	ids := []tx.ID{t.ID()}
	if earlier := l.renewals.Load(); earlier != nil {
		// They may still be committed, and are as good.
		ids = append(ids, (*earlier)[:min(len(*earlier), maxRenewals-1)]...)
	}
	l.renewals.Store(&ids)
	return t, nil
}

// noteRenewal is told of the transactions of each block before anybody else is: the
// epoch after the renewal's may begin at once. Only renewals that the log has count:
// they are younger than the loss.
func (l *Ledger) noteRenewal(seq uint64, ids []tx.ID) {
	renewals := l.renewals.Load()
	if renewals == nil {
		return
	}
	for _, id := range *renewals {
		if slices.Contains(ids, id) {
			l.renewed.Store(seq)
		}
	}
}
