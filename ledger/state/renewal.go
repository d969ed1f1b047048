package state

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/tx"
)

const (
	// MaxRenewals is how often a validator can take its place anew in a row.
	MaxRenewals = 3
	// RenewalInterval is how many milliseconds of block time give a renewal back.
	RenewalInterval = 10 * 60 * millis
)

// Renewals are what is left to a validator of its right to take its place anew, each
// use of which costs the others an epoch. They are a token bucket of MaxRenewals
// tokens, one of which comes back per RenewalInterval. The zero value has none left.
type Renewals struct {
	left uint64
	// counted is the block time, in Unix milliseconds, up to which the tokens that
	// have come back are in left. It moves by whole intervals, so nothing is lost to
	// rounding, and is 0 for a full bucket, to which nothing comes back.
	counted int64
}

// fullRenewals are those of a validator that has never taken its place anew.
func fullRenewals() Renewals { return Renewals{left: MaxRenewals} }

// Left returns how often a validator can take its place anew at a block time.
func (r Renewals) Left(timeMillis int64) uint64 { return r.at(timeMillis).left }

// at returns the renewals with those that have come back by a block time.
func (r Renewals) at(now int64) Renewals {
	if r.left >= MaxRenewals || now <= r.counted {
		return r
	}
	// The difference of two int64s fits an uint64, whatever their signs.
	back := (uint64(now) - uint64(r.counted)) / RenewalInterval
	if r.left+min(back, MaxRenewals) >= MaxRenewals {
		return fullRenewals()
	}
	return Renewals{left: r.left + back, counted: r.counted + int64(back)*RenewalInterval}
}

// use returns the renewals with one used at a block time, or a *Rejection.
func (r Renewals) use(now int64) (Renewals, error) {
	r = r.at(now)
	switch r.left {
	case 0:
		return r, tx.Reject(tx.CodeRenewals, "%d were used lately, the next is possible from %s on",
			MaxRenewals, date((r.counted+RenewalInterval+millis-1)/millis))
	case MaxRenewals:
		r.counted = now // from here on, time gives one back
	}
	r.left--
	return r, nil
}

func (r Renewals) appendTo(b []byte) []byte {
	return appendFixed(append(b, byte(r.left)), uint64(r.counted))
}

func renewals(d *wire.Decoder) Renewals {
	r := Renewals{left: uint64(d.Byte()), counted: int64(fixed(d))}
	if r.left > MaxRenewals || r.left == MaxRenewals && r.counted != 0 {
		d.Fail(fmt.Errorf("%w: %d renewals left of %d, counted up to %d", wire.ErrMalformed, r.left, MaxRenewals, r.counted))
	}
	return r
}
