package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/decube/decube/ledger/tx"
)

// renewPause is how long a validator without its log waits before it asks again
// for an epoch in which it may vote.
const renewPause = 2 * time.Second

// renew has a validator that has lost its log take its place anew: a transaction of
// its own that ends the epoch. It was made after the loss, so that nothing which
// this replica has forgotten is of the epoch that follows.
func (l *Ledger) renew(ctx context.Context) error {
	if l.journal == nil || !l.journal.recovering {
		return nil
	}
	op := tx.ValidatorAdd{Key: l.self, Replaces: l.self}
	for ctx.Err() == nil {
		if e := l.epoch.Load(); e != nil && e.member {
			attempt, cancel := context.WithTimeout(ctx, 5*renewPause)
			err := l.renewOnce(attempt, op)
			cancel()
			if err == nil {
				return nil
			}
			if ctx.Err() == nil {
				l.log.Warn("taking this validator's place anew; trying again", "err", err)
			}
		}
		timer := time.NewTimer(renewPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func (l *Ledger) renewOnce(ctx context.Context, op tx.Op) error {
	t, err := l.sign(op)
	if err != nil {
		return err
	}
	ids := []tx.ID{t.ID()}
	if earlier := l.renewals.Load(); earlier != nil {
		ids = append(ids, *earlier...) // they may still be committed, and are as good
	}
	l.renewals.Store(&ids)
	_, err = l.Submit(ctx, t)
	return err
}

// noteRenewal is told of the transactions of each block before anybody else is: the
// epoch after the renewal's may begin at once.
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
