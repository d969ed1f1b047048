package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// A validator that contradicts itself without end costs the others its messages'
// verification, and no work behind that.
func TestFloodOfContradictions(t *testing.T) {
	const votes = 20_000
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	_, at, err := s.all[1].put(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	faulty := s.all[3]
	var floods sync.WaitGroup
	t.Cleanup(floods.Wait)
	frames := make([][]byte, votes)
	for i := range frames {
		v := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Seq: at.Block + 16, Digest: pbft.Digest{1, byte(i), byte(i >> 8)}}, Replica: 3}
		v.Sig = pbft.Signature(faulty.key.Sign(v.Statement(s.genesis.ID())))
		frames[i] = messageFrame(v)
	}
	for _, m := range s.all[:3] {
		floods.Go(func() {
			for _, f := range frames {
				m.live().Receive(faulty.key.Public(), Votes, slices.Clone(f))
			}
		})
	}
	for i := range 3 {
		if _, _, err := s.all[i].put(ctx, fmt.Sprint("during ", i)); err != nil {
			t.Fatal(err)
		}
	}
	floods.Wait()
	for _, m := range s.all[:3] {
		st, err := m.live().Status(ctx)
		if err != nil || len(st.Evidence) > 1 {
			t.Errorf("%d pieces of evidence against one validator, %v", len(st.Evidence), err)
		}
	}
}

// A validator that leaves out one client's transaction and takes its place anew as often
// as it may does not have the first word in every epoch.
func TestRenewalsDoNotCensor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	faulty := s.all[0]
	own := faulty.key.Public()
	left := stranger(t, s.genesis.ID(), 77, 0, tx.RecordPut{Key: "left out", Value: []byte("v")})
	s.setLose(func(_, to sig.PublicKey, frame []byte) bool { return to == own && carries(frame, left.ID()) })
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	var renewing sync.WaitGroup
	defer renewing.Wait()
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	renewing.Go(func() {
		for stopped.Err() == nil {
			attempt, done := context.WithTimeout(stopped, time.Second)
			_, _, _ = faulty.live().Do(attempt, tx.ValidatorAdd{Key: own, Replaces: own})
			done()
		}
	})
	if _, err := s.all[1].live().Submit(ctx, left); err != nil {
		t.Fatal(err)
	}
}

// carries reports whether a frame of transactions has one of them.
func carries(frame []byte, id tx.ID) bool { return slices.Contains(transactionsIn(frame).IDs(), id) }

// transactionsIn returns the transactions that a frame passes on.
func transactionsIn(frame []byte) tx.Batch {
	f, err := codec.DecodeFrame(frame, codec.Limits{})
	if err != nil {
		return nil
	}
	txs, ok := f.(codec.Transactions)
	if !ok {
		return nil
	}
	batch, err := tx.DecodeBatch(txs.Encoded)
	if err != nil {
		return nil
	}
	return batch
}
