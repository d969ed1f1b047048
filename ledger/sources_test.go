package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Hostile sources: each is another member, as far as it does not say otherwise.

// drips answers for its head and gives nothing else: a byte a second is no block.
type drips struct{ Source }

func (drips) Blocks(ctx context.Context, _ Range) iter.Seq2[[]byte, error] { return hanging(ctx) }
func (drips) Hops(ctx context.Context, _ uint64) iter.Seq2[[]byte, error] {
	return hanging(ctx)
}

func (drips) Chunk(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (drips) Submit(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func hanging(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		<-ctx.Done()
		yield(nil, ctx.Err())
	}
}

// boasts says that it is far ahead, without a certificate that says so, and drips.
type boasts struct{ drips }

func (s boasts) Head(ctx context.Context) ([]byte, error) {
	b, err := s.drips.Source.Head(ctx)
	if err != nil {
		return nil, err
	}
	h, err := codec.DecodeHead(b)
	if err != nil {
		return nil, err
	}
	h.Tip.Header.Seq += 1_000_000
	h.Tip.Cert.Seq = h.Tip.Header.Seq
	h.Tip.Cert.Digest = h.Tip.Header.Digest()
	return codec.AppendHead(nil, h), nil
}

// forges changes a byte of each block and chunk.
type forges struct{ Source }

func (s forges) Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b, err := range s.Source.Blocks(ctx, r) {
			if len(b) > 0 {
				b[len(b)/2] ^= 1
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func (s forges) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	b, err := s.Source.Chunk(ctx, seq, start)
	if len(b) > 0 {
		b[len(b)/2] ^= 1
	}
	return b, err
}

// swaps gives each block the transactions of another one.
type swaps struct{ Source }

func (s swaps) Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b, err := range s.Source.Blocks(ctx, r) {
			if x, bad := codec.DecodeBlock(b, codec.Limits{}); bad == nil {
				x.Body = tx.Batch{}.AppendTo(nil)
				b = codec.AppendBlock(nil, x)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// censors streams nothing, and shows the head that it had at first for ever.
type censors struct {
	drips

	mu    sync.Mutex
	first []byte
}

func (s *censors) Head(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first != nil {
		return s.first, nil
	}
	b, err := s.Source.Head(ctx)
	s.first = b
	return b, err
}

// approves says OK to each transaction and drops it.
type approves struct{ Source }

func (approves) Submit(context.Context, []byte) error { return nil }

// rejects says of each transaction that its nonce is used.
type rejects struct{ Source }

func (rejects) Submit(context.Context, []byte) error {
	return tx.Reject(tx.CodeNonceUsed, "so it says")
}

// hostile are the kinds, by name.
var hostile = map[string]func(Source) Source{
	"drips":   func(s Source) Source { return drips{s} },
	"boasts":  func(s Source) Source { return boasts{drips{s}} },
	"forges":  func(s Source) Source { return forges{s} },
	"swaps":   func(s Source) Source { return swaps{s} },
	"censors": func(s Source) Source { return &censors{drips: drips{s}} },
}

// among has a member see the first ones of the others as hostile.
func (s *swarm) among(asker *member, kinds ...string) {
	var mu sync.Mutex
	made := map[*member]Source{}
	s.see(func(from, to *member, honest Source) Source {
		n := 0
		for _, m := range s.all {
			if m == to {
				break
			}
			if m != asker {
				n++
			}
		}
		if from != asker || n >= len(kinds) {
			return honest
		}
		mu.Lock()
		defer mu.Unlock()
		if made[to] == nil {
			made[to] = hostile[kinds[n]](honest)
		}
		return made[to]
	})
}

// see says what members see others as from now on.
func (s *swarm) see(wrap func(asker, asked *member, s Source) Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrap = wrap
}

// One honest source is enough for a follower, whatever the others are.
func TestFollowerAmongHostileSources(t *testing.T) {
	for name := range hostile {
		for _, transferAfter := range []uint64{0, 8} {
			t.Run(fmt.Sprintf("%s transfer after %d", name, transferAfter), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				s := newSwarm(t, 4, 1, func(p *genesis.Params) { p.CheckpointInterval = 16 })
				s.transferAfter, s.stateEvery = transferAfter, 16
				follower := s.all[4]
				s.among(follower, name, name, name)
				for _, m := range s.all[:4] {
					m.start()
				}
				var last Committed
				for i := range 40 {
					_, at, err := s.all[i%4].put(ctx, fmt.Sprint("before", i))
					if err != nil {
						t.Fatal(err)
					}
					last = at
				}
				follower.start()
				s.agree(ctx, last.Block, follower, s.all[0])
				for i := range 5 {
					_, at, err := s.all[i%4].put(ctx, fmt.Sprint("after", i))
					if err != nil {
						t.Fatal(err)
					}
					s.agree(ctx, at.Block, follower, s.all[0])
				}
			})
		}
	}
}

// The validators have changed while a follower was away, and again, and one of its
// sources lies about what came after.
func TestFollowerComesBackAfterOtherValidators(t *testing.T) {
	for _, transferAfter := range []uint64{0, 8} {
		t.Run(fmt.Sprint("transfer after ", transferAfter), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			s := newSwarm(t, 4, 3, func(p *genesis.Params) { p.CheckpointInterval = 16 })
			s.transferAfter, s.stateEvery = transferAfter, 16
			follower := s.all[6]
			s.among(follower, "forges", "drips")
			for _, m := range s.all[:6] {
				m.start()
			}
			committee := slices.Clone(s.all[:4])
			for _, m := range s.all[4:6] {
				if err := s.change(ctx, tx.ValidatorAdd{Key: m.key.Public()}, quorumOf(committee, 0)...); err != nil {
					t.Fatal(err)
				}
				committee = append(committee, m)
			}
			var last Committed
			for i := range 40 {
				_, at, err := s.all[i%6].put(ctx, fmt.Sprint("before", i))
				if err != nil {
					t.Fatal(err)
				}
				last = at
			}
			follower.start()
			s.agree(ctx, last.Block, follower, s.all[0])
			_, at, err := follower.put(ctx, "after")
			if err != nil {
				t.Fatal(err)
			}
			s.agree(ctx, at.Block, s.all...)
		})
	}
}

// A voter that was away comes back while the others go on, with f of its sources
// hostile: it votes, and is needed.
func TestLaggingVoterAmongHostileSources(t *testing.T) {
	for name := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := newSwarm(t, 4, 0, nil)
			s.startAll()
			lagging := s.all[3]
			s.among(lagging, name)
			lagging.halt()
			loading, stop := context.WithCancel(ctx)
			acknowledged := s.load(loading, s.all[:3]...)
			for i := range 30 {
				if _, _, err := s.all[1].put(ctx, fmt.Sprint("while away", i)); err != nil {
					t.Fatal(err)
				}
			}
			lagging.start()
			_, at, err := s.all[1].put(ctx, "it is back")
			if err != nil {
				t.Fatal(err)
			}
			s.agree(ctx, at.Block, lagging)
			s.all[0].halt() // the others need it now
			if _, _, err := lagging.put(ctx, "with its vote"); err != nil {
				t.Fatal(err)
			}
			stop()
			s.holds(ctx, acknowledged(), s.all[1:]...)
		})
	}
}

// A validator without its log on an idle ledger is at the head once certified heads
// say so. No block comes that it could wait for.
func TestRecoveringAmongHostileSourcesOnAnIdleLedger(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	for i := range 10 {
		if _, _, err := s.all[i%4].put(ctx, fmt.Sprint("before", i)); err != nil {
			t.Fatal(err)
		}
	}
	wiped := s.all[3]
	s.among(wiped, "drips")
	for range 2 { // a second loss is like the first
		wiped.halt()
		if err := os.RemoveAll(wiped.dir); err != nil {
			t.Fatal(err)
		}
		wiped.start()
		began := time.Now()
		s.until(ctx, "the wiped validator votes", func() bool {
			st, err := wiped.ledger.Status(ctx)
			return err != nil || st.Role == RoleValidator
		})
		t.Logf("voting %v after the loss", time.Since(began).Round(time.Millisecond))
	}
}

// A source's word that it has a transaction, or that nobody may have it, costs a
// client a second.
func TestHandOverAmongHostileSources(t *testing.T) {
	for name, kind := range map[string]func(Source) Source{
		"says OK and drops it": func(s Source) Source { return approves{s} },
		"rejects it":           func(s Source) Source { return rejects{s} },
		"says nothing":         func(s Source) Source { return drips{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := newSwarm(t, 4, 1, nil)
			follower := s.all[4]
			s.see(func(from, to *member, honest Source) Source {
				if from == follower && to != s.all[3] {
					return kind(honest)
				}
				return honest
			})
			s.startAll()
			_, at, err := follower.put(ctx, "through the last one")
			if err != nil {
				t.Fatal(err)
			}
			s.agree(ctx, at.Block, s.all...)
		})
	}
}

// All sources say OK and drop it: the client is not told that it is committed.
func TestHandOverToNobodyIsUndecided(t *testing.T) {
	s := newSwarm(t, 4, 1, nil)
	s.see(func(from, _ *member, honest Source) Source {
		if from == s.all[4] {
			return approves{honest}
		}
		return honest
	})
	s.startAll()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, at, err := s.all[4].put(ctx, "dropped"); !errors.Is(err, ErrUndecided) {
		t.Errorf("committed at %+v, %v", at, err)
	}
}

// splits shows a certificate of another block at its tip's place: a quorum of the
// validators has signed both.
type splits struct {
	Source

	keys []sig.PrivateKey
	id   pbft.Digest
}

func (s splits) Head(ctx context.Context) ([]byte, error) {
	b, err := s.Source.Head(ctx)
	if err != nil {
		return nil, err
	}
	h, err := codec.DecodeHead(b)
	if err != nil || h.Tip.Header.Seq == 0 {
		return b, err
	}
	d := *h.Tip
	d.Header.Time++
	d.Cert = pbft.Certificate{Subject: d.Cert.Subject}
	d.Cert.Digest = d.Header.Digest()
	for i, key := range s.keys {
		d.Cert.Sigs = append(d.Cert.Sigs, pbft.Signed{
			Replica: quorum.Replica(i), Sig: pbft.Signature(key.Sign(d.Cert.Statement(s.id))),
		})
	}
	h.Tip = &d
	return codec.AppendHead(nil, h), nil
}

// Two certified blocks at one place: who sees it says so, does not vote any more, and
// keeps to what is stored.
func TestCertifiedForkIsToldAndReplacesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 1, nil)
	witnesses := []*member{s.all[3], s.all[4]}
	sorted := s.genesis.Set()
	var keys []sig.PrivateKey
	for _, key := range sorted[:3] {
		for _, m := range s.all {
			if m.key.Public() == key {
				keys = append(keys, m.key)
			}
		}
	}
	for _, m := range s.all[:3] {
		m.start()
	}
	_, at, err := s.all[0].put(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	s.see(func(from, to *member, honest Source) Source {
		if to == s.all[0] && slices.Contains(witnesses, from) {
			return splits{honest, keys, s.genesis.ID()}
		}
		return honest
	})
	for _, m := range witnesses {
		m.start()
		s.until(ctx, "the fork is seen", func() bool {
			st, err := m.ledger.Status(ctx)
			return err == nil && strings.Contains(st.Halted, "forked")
		})
	}
	s.agree(ctx, at.Block, s.all...)
	if _, at, err = s.all[1].put(ctx, "by the other three"); err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
}
