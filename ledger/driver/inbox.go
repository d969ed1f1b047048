package driver

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Bounds on what one validator can make this peer hold, in bytes of frames.
const (
	// maxVotes bounds its votes that wait to be verified.
	maxVotes = 256 << 10
	// maxBulk bounds bodies whose transactions are being verified.
	maxBulk = 4 << 20
	// maxEarly bounds its votes of the next epoch, which cannot be verified before this
	// peer is there.
	maxEarly = 64 << 10
	// together is how many messages one job verifies at most, and checking how many jobs
	// are out: the lane collects what they have.
	together = 64
	checking = 4
)

// inbox is what has come from validators and waits. Senders have their turns one after
// another: one who sends without end waits for himself alone.
type inbox struct {
	senders  map[sig.PublicKey]*sender
	turns    []*sender // those with frames that wait, who is next first
	checking int       // jobs that are out
}

// sender is one validator.
type sender struct {
	key       sig.PublicKey
	heard     Heard
	frames    []Frame // that wait to be verified, in order
	votes     int     // bytes of these and of those being verified
	proposals int
	bulk      int
	reminded  time.Duration // when it was last shown what it has said itself
	early     []Frame
	waits     int           // bytes of early
	helped    time.Duration // when it was last helped over the end of an epoch; 0 for never
}

func newInbox() inbox { return inbox{senders: map[sig.PublicKey]*sender{}} }

// sender returns what is known of a validator, nil for a stranger beyond as many as a
// committee has.
func (b *inbox) sender(key sig.PublicKey) *sender {
	s := b.senders[key]
	if s == nil && len(b.senders) < 2*quorum.MaxReplicas {
		s = &sender{key: key}
		b.senders[key] = s
	}
	return s
}

func (b *inbox) saw(key sig.PublicKey, at time.Duration) {
	if s := b.sender(key); s != nil {
		s.heard.At, s.heard.Ever, s.heard.Gone = at, true, false
	}
}

func (b *inbox) lost(key sig.PublicKey) {
	if s := b.senders[key]; s != nil {
		s.heard.Gone = true
	}
}

// retain forgets all but the validators of an epoch.
func (b *inbox) retain(set genesis.ValidatorSet) {
	for key := range b.senders {
		if !slices.Contains(set, key) {
			delete(b.senders, key)
		}
	}
}

// clear drops what waits to be verified for an epoch that is over.
func (b *inbox) clear() {
	for _, s := range b.turns {
		for i := range s.frames {
			s.release(&s.frames[i])
		}
		s.frames = nil
	}
	b.turns = nil
}

// releaseEarly returns what has waited for an epoch, in the order of the committee's keys.
func (b *inbox) releaseEarly() []Arrived {
	keys := make([]sig.PublicKey, 0, len(b.senders))
	for key, s := range b.senders {
		if len(s.early) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b sig.PublicKey) int { return bytes.Compare(a[:], b[:]) })
	var out []Arrived
	for _, key := range keys {
		s := b.senders[key]
		for _, f := range s.early {
			out = append(out, Arrived{From: key, Frame: f})
		}
		s.early, s.waits = nil, 0
	}
	return out
}

// room returns the sum that a frame counts in, and its bound.
func (s *sender) room(f *Frame, block int) (sum *int, most int) {
	switch f.Frame.(type) {
	case codec.Proposal:
		return &s.proposals, 2 * block
	case codec.Body:
		return &s.bulk, maxBulk
	default:
		if large(f) {
			return &s.proposals, 2 * block
		}
		return &s.votes, maxVotes
	}
}

// large reports whether a message of the core travels with the proposals.
func large(f *Frame) bool {
	m, ok := f.Frame.(codec.Message)
	if !ok {
		return false
	}
	switch m.Message.(type) {
	case *pbft.ViewChange, *pbft.NewView, *pbft.Decision, *pbft.Certified:
		return true
	default:
		return false
	}
}

// reserve counts a frame, and returns false if there is no room for it. One that is alone
// has room whatever its size: frames are bounded by themselves.
func (s *sender) reserve(f *Frame, block int) bool {
	sum, most := s.room(f, block)
	if *sum > 0 && *sum+f.Size > most {
		return false
	}
	*sum += f.Size
	return true
}

func (s *sender) release(f *Frame) {
	sum, _ := s.room(f, 0)
	*sum -= f.Size
}

// arrived takes a frame.
func (d *Driver) arrived(a *Arrived) {
	d.inbox.saw(a.From, d.now.Mono)
	if asked, ok := a.Frame.Frame.(codec.Remind); ok {
		d.remind(a.From, asked)
		return
	}
	if d.voter == nil {
		d.arrivedEarly(a)
		return
	}
	switch f := a.Frame.Frame.(type) {
	case codec.Transactions:
		d.carried(a.From, &a.Frame)
	case codec.Want:
		d.wanted(a.From, f)
	case codec.Body:
		d.bodyArrived(a)
	default:
		d.messageArrived(a)
	}
}

// arrivedEarly takes a frame while this replica does not vote. Transactions wait in the
// pool of one that is about to: whoever has passed them on does not before they are overdue
// again, and a committee that starts would order nothing for as long.
func (d *Driver) arrivedEarly(a *Arrived) {
	if _, ok := a.Frame.Frame.(codec.Transactions); ok {
		if d.stand.told.Voting {
			d.carried(a.From, &a.Frame)
		}
		return
	}
	d.shownOwn(a)
	if m := messageOf(&a.Frame); m != nil {
		d.otherEpoch(a, m)
	}
}

// bodyArrived takes a body that somebody has sent.
func (d *Driver) bodyArrived(a *Arrived) {
	s := d.inbox.sender(a.From)
	if s == nil || !d.bodies.store.Lacks(a.Frame.Content.Root()) {
		return
	}
	if !s.reserve(&a.Frame, 0) {
		d.notice(FrameDropped{Bulk.String()})
		return
	}
	d.supplied(a.From, a.Frame.Content, func() { s.release(&a.Frame) })
}

// messageArrived has a message of the core wait to be verified, if it could change
// anything: signatures are what a replica spends its time on.
func (d *Driver) messageArrived(a *Arrived) {
	m := messageOf(&a.Frame)
	if m == nil {
		return
	}
	if pbft.EpochOf(m) != d.voter.epoch {
		d.otherEpoch(a, m)
		return
	}
	s := d.inbox.sender(a.From)
	if s == nil || !d.useful(m) {
		return
	}
	if !s.reserve(&a.Frame, int(d.chain.head.Params.MaxBlockBytes)+genesis.FrameRoom) {
		d.notice(FrameDropped{classOf(&a.Frame).String()})
		return
	}
	s.frames = append(s.frames, a.Frame)
	if len(s.frames) == 1 {
		d.inbox.turns = append(d.inbox.turns, s)
	}
}

// useful reports whether a message of this epoch could change anything. One that contradicts
// what is committed here is nothing to the core, and an alarm to all.
func (d *Driver) useful(m pbft.Message) bool {
	if decision, ok := m.(*pbft.Decision); ok && d.contradicts(decision) {
		return true
	}
	return d.voter.core.Useful(m)
}

// classOf returns the class of a message of the core.
func classOf(f *Frame) Class {
	if _, ok := f.Frame.(codec.Proposal); ok || large(f) {
		return Proposals
	}
	return Votes
}

// messageOf returns the core's message in a frame that has one.
func messageOf(f *Frame) pbft.Message {
	switch f := f.Frame.(type) {
	case codec.Message:
		return f.Message
	case codec.Proposal:
		return f.Proposal
	default:
		return nil
	}
}

// otherEpoch keeps a vote of the next epoch until this replica is there too, and asks
// sources where there are later epochs. Who is still in the epoch before is helped.
func (d *Driver) otherEpoch(a *Arrived, m pbft.Message) {
	epoch, now := pbft.EpochOf(m), d.chain.head.Epoch
	if d.voter != nil {
		now = d.voter.epoch
	}
	switch {
	case epoch < now:
		if s, ok := m.(*pbft.Status); ok && epoch+1 == now {
			d.helpOver(a.From, s)
		}
		return
	case epoch == now+1, epoch == now: // the latter while this peer is not in it yet
		s := d.inbox.sender(a.From)
		if waits(m, epoch == now) && s != nil && s.waits+a.Frame.Size <= maxEarly {
			s.early, s.waits = append(s.early, a.Frame), s.waits+a.Frame.Size
		}
	}
	if epoch > now {
		d.sync.behind(d)
	}
}

// waits reports whether a message is kept for a replica that has not started: a vote, and a
// proposal too if it is about to start. Who misses the first blocks of others is behind them
// until it has fetched them.
func waits(m pbft.Message, about bool) bool {
	switch m.(type) {
	case *pbft.Vote:
		return true
	case *pbft.Proposal:
		return about
	default:
		return false
	}
}

// helpOver sends a validator that has not left the epoch before the proof that its last
// block is a checkpoint. The votes that it has missed come no more: those who sent them
// are in this epoch, or gone, and without it there may be no quorum here. What it says is
// not verified: so, as in the core, nobody is helped more often than messages are repeated.
func (d *Driver) helpOver(to sig.PublicKey, s *pbft.Status) {
	stable := d.chain.stable
	if d.voter != nil && stable != nil && stable.Epoch == s.Epoch && stable.Seq > s.Stable {
		who, again := d.inbox.sender(to), time.Duration(d.cfg.Core.ResendInterval)*tick/2
		if who == nil || (who.helped > 0 && d.now.Mono-who.helped < again) {
			return
		}
		who.helped = max(1, d.now.Mono)
		d.do(Send{To: []sig.PublicKey{to}, Class: Proposals, Frame: codec.Message{Message: &pbft.Certified{Cert: *stable}}})
	}
}

// verify has messages verified that wait, if they could still change anything.
func (d *Driver) verify() {
	b := &d.inbox
	for d.voter != nil && b.checking < checking && len(b.turns) > 0 {
		froms, frames := d.nextMessages()
		if len(frames) == 0 {
			return
		}
		messages := make([]pbft.Message, len(frames))
		for i := range frames {
			messages[i] = messageOf(&frames[i])
		}
		b.checking++
		epoch := d.voter.epoch
		d.do(CheckVotes{Messages: messages, Job: d.jobs.add(func(e Event) {
			b.checking--
			checked, _ := e.(VotesChecked)
			for i := range frames {
				d.messageChecked(epoch, froms[i], &frames[i], checked.Verified[i], checked.Errs[i])
			}
		})})
	}
}

// nextMessages takes messages out, one of each sender in turn.
func (d *Driver) nextMessages() (froms []*sender, frames []Frame) {
	b := &d.inbox
	for len(frames) < together && len(b.turns) > 0 {
		s := b.turns[0]
		b.turns = b.turns[1:]
		f := s.frames[0]
		s.frames[0] = Frame{}
		s.frames = s.frames[1:]
		if len(s.frames) > 0 {
			b.turns = append(b.turns, s)
		} else {
			s.frames = nil
		}
		if !d.useful(messageOf(&f)) {
			s.release(&f)
			continue
		}
		froms, frames = append(froms, s), append(frames, f)
	}
	return froms, frames
}

// messageChecked takes a message whose signatures were looked at.
func (d *Driver) messageChecked(epoch uint64, s *sender, f *Frame, verified pbft.Verified, err error) {
	defer s.release(f)
	switch {
	case errors.Is(err, pbft.ErrEpoch), d.voter == nil, d.voter.epoch != epoch:
		return // the epoch ended meanwhile
	case err != nil:
		d.misbehaved("invalid message", s.key, err)
		return
	}
	switch m := verified.Message().(type) {
	case *pbft.Status:
		if who := d.inbox.sender(d.voter.set[m.Replica]); who != nil {
			who.heard.Committed = max(who.heard.Committed, m.Committed)
		}
	case *pbft.Decision:
		d.compare(m)
	case *pbft.Proposal:
		d.proposed(s, f, m, verified)
		return
	}
	d.step(pbft.Receive{Message: verified})
}

// proposed takes a verified proposal: its body comes first, so that nobody is asked for
// it.
func (d *Driver) proposed(s *sender, f *Frame, p *pbft.Proposal, verified pbft.Verified) {
	store, c := d.bodies.store, f.Content
	if !store.Admits(p.View, p.Header.Seq, p.Header.Body) || !store.Fits(c) {
		d.step(pbft.Receive{Message: verified})
		return
	}
	if !c.Whole() {
		store.Propose(p.View, p.Header.Seq, c)
		d.step(pbft.Receive{Message: verified})
		return
	}
	if !s.reserve(f, 1<<30) {
		return
	}
	d.verifyBody(s.key, c, func(ok bool) {
		s.release(f)
		if ok {
			store.Propose(p.View, p.Header.Seq, c)
			d.step(pbft.Receive{Message: verified})
		}
	})
}

// carried takes transactions that a validator passes on. Of those that wait already, the
// signature was verified; now they came through this one too.
func (d *Driver) carried(from sig.PublicKey, f *Frame) {
	origin := slices.Index(d.market.origins, from)
	if origin < 0 {
		return
	}
	fresh := make([]*tx.Transaction, 0, len(f.Batch))
	for _, t := range f.Batch {
		if d.market.pool.Get(t.ID()) != nil {
			_ = d.market.pool.Add(d.now.Mono, t, origin)
			continue
		}
		fresh = append(fresh, t)
	}
	if err := d.market.gate.Carry(d.now.Mono, intake.Validator(from), fresh, f.Size); err != nil {
		d.notice(FrameDropped{"transaction of another validator"})
	}
}
