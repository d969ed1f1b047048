package attack

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// turned are attacks by somebody who has a role.
func turned() []Attack {
	committee := Needs{Ledger: true, Committee: true}
	return []Attack{
		{
			Name: "member-turns", About: "a validator of the victim's committee that sends it votes that contradict each other and frames that are malformed or trickle, and asks for all there is, without a pause",
			Identities: 3, Addresses: 3, Needs: committee,
			Run: func(ctx context.Context, a *Arena) error {
				return memberTurns(ctx, a, (*traitor).speak, (*traitor).ask, (*traitor).tell)
			},
		},
		{
			Name: "member-bursts", About: "a validator of the victim's committee that makes the mistakes of all protocols, and opens streams that it resets, over 4 connections",
			Identities: 4, Addresses: 4, Needs: committee,
			Run: func(ctx context.Context, a *Arena) error {
				return memberTurns(ctx, a, (*traitor).blunder, (*traitor).burst)
			},
		},
	}
}

// traitor is a validator that has turned. What validators say to each other is encoded by
// the packages that do it: unlike a stranger, a validator has the program.
type traitor struct {
	*Arena

	key     sig.PrivateKey
	replica quorum.Replica
	blocks  []byte // a request for all that the victim serves
}

// part is what a traitor does over one connection.
type part func(*traitor, context.Context, *stranger.Stranger, *stranger.Conn) error

// memberTurns has every stranger of the crowd be the same validator, over a connection of its
// own, and do one of some parts. Whatever the victim says to the validator is welcome and never
// read.
func memberTurns(ctx context.Context, a *Arena, parts ...part) error {
	if len(a.Turned.Key) == 0 {
		return fmt.Errorf("%w: no key of a validator", errNothing)
	}
	identity, err := crypto.UnmarshalPrivateKey(a.Turned.Key)
	if err != nil {
		return err
	}
	t := &traitor{Arena: a, replica: quorum.Replica(a.Turned.Replica)}
	if t.key, err = sig.ParsePrivateKey(a.Turned.Key); err != nil {
		return err
	}
	plays := map[*stranger.Stranger]part{}
	for i, s := range a.Crowd {
		own, err := s.As(identity)
		if err != nil {
			return err
		}
		own.Handlers[consensusID] = deaf
		own.Face.Protocols = append(own.Face.Protocols, consensusID)
		a.Crowd[i], plays[own] = own, parts[i%len(parts)]
	}
	root, err := t.root()
	if err != nil {
		return err
	}
	total, err := askTotal(ctx, a.Crowd[0], a.Victim, root)
	if err != nil {
		return err
	}
	t.blocks = Ranges(1, root, total)
	return a.each(ctx, func(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error { return plays[s](t, ctx, s, c) })
}

// speak floods the streams between validators.
func (t *traitor) speak(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, say := range []func(context.Context, stranger.Stream) error{t.votes, t.proposals, t.bulk} {
		all.Go(func() error { return t.streams(ctx, c, 1, consensusID, say) })
	}
	return all.Wait()
}

// ask asks for all that is served, over as many streams as there are, and reads it.
func (t *traitor) ask(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, what := range []struct {
		streams int
		id      protocol.ID
		do      func(context.Context, stranger.Stream) error
	}{
		{streamsEach, exchangeID, t.takes(t.blocks)},
		{streamsEach, statesyncID, t.takes(blocksFrom(1))},
		{streamsEach, statesyncID, t.takes(follow(1))},
		{floodStreams, stranger.IdentifyID, t.beTold},
		{2, stranger.PingID, t.pings},
	} {
		all.Go(func() error { return t.streams(ctx, c, what.streams, what.id, what.do) })
	}
	return all.Wait()
}

// tell says what nobody needs to know.
func (t *traitor) tell(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return t.pushes(ctx, s, c) })
	all.Go(func() error { return t.recordsOf(ctx, s, c) })
	return all.Wait()
}

// blunder makes the mistakes of all protocols.
func (t *traitor) blunder(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error {
	return t.mistakes(ctx, s, c)
}

// burst opens streams and resets them.
func (t *traitor) burst(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
	return t.bursts(ctx, c, stranger.Negotiation(stranger.IdentifyID))
}

// Classes of the consensus protocol.
const (
	classVotes, classProposals, classBulk = 0, 1, 2
)

// Hello returns the first frame of a stream between validators of a ledger.
func Hello(class byte, boot uint64, genesis pbft.Digest) []byte {
	b := []byte{1, class}
	for i := range 8 {
		b = append(b, byte(boot>>(8*(7-i))))
	}
	return wire.AppendFrame(nil, append(b, genesis[:]...))
}

// deaf welcomes a stream of the victim's and does not read it.
func deaf(ctx context.Context, _ *stranger.Conn, s stranger.Stream) {
	if _, err := readFrame(s); err != nil {
		return
	}
	if _, err := s.Write(wire.AppendFrame(nil, []byte{0})); err != nil {
		return
	}
	<-ctx.Done()
}

// greet has a stream be one of a class, and reads what is said to it from then on.
func (t *traitor) greet(s stranger.Stream, class byte) error {
	if _, err := s.Write(Hello(class, 1, t.Turned.Genesis)); err != nil {
		return err
	}
	r := bufio.NewReader(s)
	reply, err := wire.ReadFrame(r, most, nil)
	if err != nil {
		return err
	}
	if len(reply) != 1 || reply[0] != 0 {
		t.Count("hellos refused", 1)
		return fmt.Errorf("%w: the answer to a hello is %x", errNothing, reply)
	}
	t.Count("hellos", 1)
	go func() { _, _ = io.Copy(io.Discard, r) }() // ends with the stream
	return nil
}

// say writes frames of one class for as long as they are taken.
func (t *traitor) say(ctx context.Context, s stranger.Stream, class byte, what string, frame func(i int) []byte) error {
	if err := t.greet(s, class); err != nil {
		return err
	}
	const batch = 64
	for i := 0; ctx.Err() == nil; {
		var b []byte
		for range batch {
			b = wire.AppendFrame(b, frame(i))
			i++
		}
		if _, err := s.Write(b); err != nil {
			return err
		}
		t.Count(what, batch)
	}
	return nil
}

// votes contradicts itself at every place near the beginning and far beyond the end of the
// ledger, half of the time with a signature, and asks for what it has missed.
func (t *traitor) votes(ctx context.Context, s stranger.Stream) error {
	return t.say(ctx, s, classVotes, "votes", func(i int) []byte {
		var m pbft.Message
		switch i % 16 {
		case 0:
			return codec.AppendFrame(nil, codec.Remind{})
		case 1:
			status := &pbft.Status{Replica: t.replica, Changing: true}
			status.Sig = t.sign(i, status.Statement(t.Turned.Genesis))
			m = status
		case 2:
			change := &pbft.ViewChange{View: uint64(i), Replica: t.replica}
			change.Sig = t.sign(i, change.Statement(t.Turned.Genesis))
			m = change
		default:
			vote := &pbft.Vote{Replica: t.replica, Subject: pbft.Subject{
				Phase: pbft.Phase(1 + i%3), Seq: uint64(1 + i/16%512), Digest: anyDigest(), State: anyDigest(),
			}}
			if i%16 == 3 {
				vote.Seq = 1 << 40
			}
			if vote.Phase != pbft.Checkpoint {
				vote.View = uint64(i / 3 % 4)
			}
			vote.Sig = t.sign(i, vote.Statement(t.Turned.Genesis))
			m = vote
		}
		return codec.AppendFrame(nil, codec.Message{Message: m})
	})
}

// sign signs half of all statements.
func (t *traitor) sign(i int, statement []byte) (s pbft.Signature) {
	if i/64%2 == 0 {
		return pbft.Signature(t.key.Sign(statement))
	}
	_, _ = rand.Read(s[:]) // never fails
	return s
}

func anyDigest() (d pbft.Digest) {
	_, _ = rand.Read(d[:]) // never fails
	return d
}

// proposals are in turn a large frame that trickles, one that is larger than any may be, and
// one that means nothing.
func (t *traitor) proposals(ctx context.Context, s stranger.Stream) error {
	if err := t.greet(s, classProposals); err != nil {
		return err
	}
	switch mathrand.IntN(3) {
	case 0:
		if _, err := s.Write(wire.AppendUvarint(nil, 8<<20)); err != nil {
			return err
		}
		t.Count("frames that trickle", 1)
		return drip(ctx, s, dripEvery)
	case 1:
		t.Count("frames too large", 1)
		_, err := s.Write(wire.AppendUvarint(nil, 1<<40))
		return err
	default:
		t.Count("frames that mean nothing", 1)
		_, err := s.Write(Garbage())
		return err
	}
}

// bulk hands in transactions, asks for bodies that there are not, and sends what nobody has
// asked for.
func (t *traitor) bulk(ctx context.Context, s stranger.Stream) error {
	junk := make([]byte, 64<<10)
	_, _ = rand.Read(junk) // never fails
	return t.say(ctx, s, classBulk, "frames of bulk", func(i int) []byte {
		switch i % 4 {
		case 0:
			return codec.AppendFrame(nil, codec.Want{Root: anyDigest(), Seq: uint64(1 + i%128)})
		case 1:
			return codec.AppendFrame(nil, codec.Transactions{Encoded: junk})
		case 2:
			return codec.AppendFrame(nil, codec.Body{Root: anyDigest(), Encoded: junk})
		default:
			return t.transactions(uint64(i))
		}
	})
}

// transactions are those of the traitor's own, each a record of another key.
func (t *traitor) transactions(nonce uint64) []byte {
	record := tx.RecordPut{Key: fmt.Sprintf("turned-%d-%d", time.Now().UnixNano(), nonce), Value: make([]byte, 1<<10)}
	one, err := tx.Sign(t.key, t.Turned.Genesis, nonce, record)
	if err != nil {
		return codec.AppendFrame(nil, codec.Transactions{Encoded: []byte{0}}) // which it is not: the record is valid
	}
	return codec.AppendFrame(nil, codec.Transactions{Encoded: tx.Batch{one}.AppendTo(nil)})
}
