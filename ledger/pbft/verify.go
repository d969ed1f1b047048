package pbft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/quorum"
)

// ErrSignature is returned for a message with a signature that does not verify.
var ErrSignature = errors.New("signature does not verify")

// ErrEpoch is returned for a message of another epoch.
var ErrEpoch = errors.New("message of another epoch")

// Verified is a message whose form and signatures were checked, all the way down
// to the certificates in it. Only a Verifier makes one, so that nothing else can
// enter a Replica.
type Verified struct {
	m     Message
	epoch uint64
}

// Message returns the message, which nobody may change any more.
func (v Verified) Message() Message { return v.m }

// Item is one signature to check.
type Item struct {
	Replica   quorum.Replica
	Statement []byte
	Sig       Signature
}

// Verifier checks messages of one epoch. It holds no state that changes: it is
// safe for concurrent use if Check is.
type Verifier struct {
	Cluster   Digest
	Epoch     uint64
	Committee quorum.Committee
	// Set is the digest of the committee's validator set, which headers name.
	Set    Digest
	Window uint64
	// Start is the block before the epoch's first.
	Start Digest
	// StartSeq is that block's sequence number, StartState its state root.
	StartSeq   uint64
	StartState Digest
	// Check reports for each item whether its signature is the replica's.
	Check func([]Item) []bool
}

// NewVerifier returns the verifier for an epoch.
func NewVerifier(cfg *Config, start *Start, check func([]Item) []bool) *Verifier {
	return &Verifier{
		Cluster: cfg.Cluster, Epoch: start.Epoch, Committee: start.Committee, Set: start.Header.Following(), Window: cfg.Window,
		Start: start.Header.Digest(), StartSeq: start.Header.Seq, StartState: start.Header.State, Check: check,
	}
}

// Verify checks messages, with one call of Check for all their signatures.
// errs[i] is nil when verified[i] is good; else it wraps ErrMalformed, ErrEpoch,
// ErrSignature or quorum.ErrReplica.
func (v *Verifier) Verify(messages ...Message) (verified []Verified, errs []error) {
	verified, errs = make([]Verified, len(messages)), make([]error, len(messages))
	var c collector
	ends := make([]int, len(messages))
	for i, m := range messages {
		before := len(c.items)
		if errs[i] = v.collect(&c, m); errs[i] != nil {
			c.items = c.items[:before]
		}
		ends[i] = len(c.items)
	}
	good := v.check(c.items)
	at := 0
	for i, m := range messages {
		for ; at < ends[i]; at++ {
			if !good[at] && errs[i] == nil {
				errs[i] = fmt.Errorf("%w: replica %d in %v", ErrSignature, c.items[at].Replica, m)
			}
		}
		if errs[i] == nil {
			verified[i] = Verified{m, v.Epoch}
		}
	}
	return verified, errs
}

// check calls Check once for each different item: the certificates in a NEW-VIEW
// repeat one another.
func (v *Verifier) check(items []Item) []bool {
	if len(items) == 0 {
		return nil
	}
	type key struct {
		r   quorum.Replica
		sig Signature
		st  string
	}
	index := make(map[key]int, len(items))
	unique := make([]Item, 0, len(items))
	where := make([]int, len(items))
	for i, it := range items {
		k := key{it.Replica, it.Sig, string(it.Statement)}
		at, seen := index[k]
		if !seen {
			at = len(unique)
			index[k] = at
			unique = append(unique, it)
		}
		where[i] = at
	}
	good := v.Check(unique)
	out := make([]bool, len(items))
	for i, at := range where {
		out[i] = at < len(good) && good[at]
	}
	return out
}

// collector gathers the signatures of a message.
type collector struct{ items []Item }

func (c *collector) add(r quorum.Replica, statement []byte, sig Signature) {
	c.items = append(c.items, Item{r, statement, sig})
}

// collect checks the form of a message and gathers its signatures.
func (v *Verifier) collect(c *collector, m Message) error {
	switch m := m.(type) {
	case *Vote:
		return v.vote(c, m)
	case *Proposal:
		return v.proposal(c, m)
	case *Decision:
		return v.decision(c, m)
	case *Certified:
		return v.certificate(c, &m.Cert, Checkpoint)
	case *ViewChange:
		return v.viewChange(c, m)
	case *NewView:
		return v.newView(c, m)
	case *Status:
		return v.plain(c, m.Epoch, m.Replica, m.Statement(v.Cluster), m.Sig)
	default:
		return fmt.Errorf("%w: unknown kind %T", ErrMalformed, m)
	}
}

func (v *Verifier) member(epoch uint64, r quorum.Replica) error {
	if epoch != v.Epoch {
		return fmt.Errorf("%w: of %d in %d", ErrEpoch, epoch, v.Epoch)
	}
	if !v.Committee.Has(r) {
		return fmt.Errorf("%w: %d of %d", quorum.ErrReplica, r, v.Committee.Size())
	}
	return nil
}

func (v *Verifier) plain(c *collector, epoch uint64, r quorum.Replica, statement []byte, sig Signature) error {
	if err := v.member(epoch, r); err != nil {
		return err
	}
	c.add(r, statement, sig)
	return nil
}

func (v *Verifier) subject(s *Subject) error {
	switch {
	case s.Phase < Prepare || s.Phase > Checkpoint:
		return fmt.Errorf("%w: %v", ErrMalformed, s.Phase)
	case s.Phase == Checkpoint && s.View != 0:
		return fmt.Errorf("%w: a checkpoint in view %d", ErrMalformed, s.View)
	case s.Seq <= v.StartSeq || s.Digest.IsZero():
		return fmt.Errorf("%w: %v is not of epoch %d, which begins after %d", ErrMalformed, s, v.Epoch, v.StartSeq)
	}
	return nil
}

func (v *Verifier) vote(c *collector, m *Vote) error {
	if err := v.subject(&m.Subject); err != nil {
		return err
	}
	return v.plain(c, m.Epoch, m.Replica, m.Statement(v.Cluster), m.Sig)
}

func (v *Verifier) proposal(c *collector, m *Proposal) error {
	s := m.Subject()
	if err := v.subject(&s); err != nil {
		return err
	}
	if err := v.ordered(&m.Header); err != nil {
		return err
	}
	leader := Leader(v.Committee, v.Epoch, m.View)
	return v.plain(c, m.Header.Epoch, leader, s.Statement(v.Cluster), m.Sig)
}

// certificate checks a quorum's signatures under one subject of a phase.
func (v *Verifier) certificate(c *collector, cert *Certificate, phase Phase) error {
	if cert.Phase != phase {
		return fmt.Errorf("%w: a certificate of %v, want %v", ErrMalformed, cert.Phase, phase)
	}
	if err := v.subject(&cert.Subject); err != nil {
		return err
	}
	if cert.Epoch != v.Epoch {
		return fmt.Errorf("%w: of %d in %d", ErrEpoch, cert.Epoch, v.Epoch)
	}
	if len(cert.Sigs) > v.Committee.Size() {
		return fmt.Errorf("%w: %d signatures of %d replicas", ErrMalformed, len(cert.Sigs), v.Committee.Size())
	}
	var set quorum.Set
	statement := cert.Statement(v.Cluster)
	for i, s := range cert.Sigs {
		if !v.Committee.Has(s.Replica) {
			return fmt.Errorf("%w: %d signed %v", quorum.ErrReplica, s.Replica, cert.Subject)
		}
		if i > 0 && s.Replica <= cert.Sigs[i-1].Replica {
			return fmt.Errorf("%w: signatures out of order in %v", ErrMalformed, cert.Subject)
		}
		set.Add(s.Replica)
		c.add(s.Replica, statement, s.Sig)
	}
	if !v.Committee.Certifies(set) {
		return fmt.Errorf("%w: %d signatures do not certify %v", ErrMalformed, len(cert.Sigs), cert.Subject)
	}
	return nil
}

// ordered checks that a header names this epoch's committee. A header of another
// epoch is none of this verifier's business, which its epoch tells.
func (v *Verifier) ordered(h *Header) error {
	if h.Epoch == v.Epoch && h.Committee != v.Set {
		return fmt.Errorf("%w: %v is to be ordered by committee %s, epoch %d has %s", ErrMalformed, h, h.Committee.Short(), v.Epoch, v.Set.Short())
	}
	return nil
}

// matches checks that a certificate is about a header, which names the committee.
func (v *Verifier) matches(cert *Certificate, h *Header) error {
	if cert.Epoch != h.Epoch || cert.Seq != h.Seq || cert.State != h.State || cert.Digest != h.Digest() {
		return fmt.Errorf("%w: a certificate for %v beside header %v", ErrMalformed, cert.Subject, h)
	}
	return v.ordered(h)
}

func (v *Verifier) decision(c *collector, m *Decision) error {
	if err := v.matches(&m.Cert, &m.Header); err != nil {
		return err
	}
	return v.certificate(c, &m.Cert, Commit)
}

func (v *Verifier) viewChange(c *collector, m *ViewChange) error {
	if err := v.claims(c, m); err != nil {
		return err
	}
	if err := v.base(c, &m.Base); err != nil {
		return err
	}
	for i := range m.Locks {
		if err := v.lock(c, &m.Locks[i]); err != nil {
			return err
		}
	}
	return nil
}

// claims checks what a view change's signature is over, and not whether it is
// proved.
func (v *Verifier) claims(c *collector, m *ViewChange) error {
	if err := v.member(m.Epoch, m.Replica); err != nil {
		return err
	}
	if uint64(len(m.Locks)) > v.Window || m.View == 0 || m.Base.Seq < v.StartSeq {
		return fmt.Errorf("%w: %v", ErrMalformed, m)
	}
	seq := m.Base.Seq
	for i := range m.Locks {
		claim := m.Locks[i].Claim()
		if claim.Seq <= seq || claim.Seq > m.Base.Seq+v.Window || claim.View >= m.View {
			return fmt.Errorf("%w: a lock at %d in view %d in %v", ErrMalformed, claim.Seq, claim.View, m)
		}
		seq = claim.Seq
	}
	c.add(m.Replica, m.Statement(v.Cluster), m.Sig)
	return nil
}

// lock checks that a lock's certificate proves it.
func (v *Verifier) lock(c *collector, l *Lock) error {
	if err := v.matches(&l.Cert, &l.Header); err != nil {
		return err
	}
	return v.certificate(c, &l.Cert, Prepare)
}

// foundation checks the proofs of what decides a new view. Each certificate is
// looked at once, however many view changes share it: a new view of 256 replicas
// would else take hundreds of thousands of signatures to check.
func (v *Verifier) foundation(c *collector, changes []*ViewChange) error {
	bases, locks := Foundation(changes)
	for i, b := range bases {
		known := slices.ContainsFunc(bases[:i], func(p *Certificate) bool {
			return p.Subject == b.Subject && slices.Equal(p.Sigs, b.Sigs)
		})
		if known {
			continue
		}
		if err := v.base(c, b); err != nil {
			return err
		}
	}
	// A lock that says the same of the same header is as good as the one that was
	// proved: its header is what the chain is made of. One with another header is
	// not, even if it claims the same.
	var proved []*Lock
	for _, l := range locks {
		known := slices.ContainsFunc(proved, func(p *Lock) bool {
			return p.Cert.Subject == l.Cert.Subject && p.Header == l.Header
		})
		if known {
			continue
		}
		if err := v.lock(c, l); err != nil {
			return err
		}
		proved = append(proved, l)
	}
	return nil
}

// base checks the certificate of a view change's last committed block.
func (v *Verifier) base(c *collector, cert *Certificate) error {
	if len(cert.Sigs) == 0 {
		if cert.Subject != (Subject{Phase: Commit, Epoch: v.Epoch, Seq: v.StartSeq, Digest: v.Start, State: v.StartState}) {
			return fmt.Errorf("%w: %v without signatures", ErrMalformed, cert.Subject)
		}
		return nil
	}
	return v.certificate(c, cert, Commit)
}

func (v *Verifier) newView(c *collector, m *NewView) error {
	leader := Leader(v.Committee, v.Epoch, m.View)
	if err := v.member(m.Epoch, leader); err != nil {
		return err
	}
	if len(m.Changes) > v.Committee.Size() || uint64(len(m.Proposals)) > v.Window {
		return fmt.Errorf("%w: %d view changes, %d proposals", ErrMalformed, len(m.Changes), len(m.Proposals))
	}
	var set quorum.Set
	for i, vc := range m.Changes {
		if vc.View != m.View || (i > 0 && vc.Replica <= m.Changes[i-1].Replica) {
			return fmt.Errorf("%w: %v in %v", ErrMalformed, vc, m)
		}
		if err := v.claims(c, vc); err != nil {
			return err
		}
		set.Add(vc.Replica)
	}
	if !v.Committee.Certifies(set) {
		return fmt.Errorf("%w: %d view changes do not make a view", ErrMalformed, len(m.Changes))
	}
	if err := v.foundation(c, m.Changes); err != nil {
		return err
	}
	chain := carriedOver(m.Changes)
	if len(chain) != len(m.Proposals) {
		return fmt.Errorf("%w: %d proposals in %v, want %d", ErrMalformed, len(m.Proposals), m, len(chain))
	}
	for i, p := range m.Proposals {
		if p.View != m.View || p.Header != chain[i] {
			return fmt.Errorf("%w: %v in %v, want %v", ErrMalformed, p, m, &chain[i])
		}
		if err := v.proposal(c, p); err != nil {
			return err
		}
	}
	c.add(leader, m.Statement(v.Cluster), m.Sig)
	return nil
}
