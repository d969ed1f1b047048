package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

const (
	// maxClients is how many clients a run may have.
	maxClients = 8
	// nonceWindow is how far ahead of the lowest nonce that was not executed yet a
	// client may number its requests.
	nonceWindow = 64
)

// tx is a request of a client. Client and Nonce name it.
type tx struct {
	Client uint8
	Nonce  uint64
	// Members, unless it is zero, asks for another committee.
	Members members
	// Renew asks for a new epoch, of the committee asked for last, at once.
	Renew bool
	// Mac stands for the client's signature.
	Mac uint64
}

// request names a transaction.
type request struct {
	client uint8
	nonce  uint64
}

func (t *tx) request() request { return request{t.Client, t.Nonce} }

func (t *tx) String() string {
	if t.Members != 0 {
		return fmt.Sprintf("c%d#%d=%v", t.Client, t.Nonce, t.Members)
	}
	if t.Renew {
		return fmt.Sprintf("c%d#%d=renew", t.Client, t.Nonce)
	}
	return fmt.Sprintf("c%d#%d", t.Client, t.Nonce)
}

// sealed returns the transaction with its client's signature.
func (t tx) sealed() tx {
	t.Mac = mix(mix(mix(uint64(t.Client)+1)^t.Nonce) ^ uint64(t.Members)<<1)
	if t.Renew {
		t.Mac = mix(t.Mac)
	}
	return t
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (t *tx) appendTo(b []byte) []byte {
	renew := byte(0)
	if t.Renew {
		renew = 1
	}
	b = append(b, t.Client, renew)
	b = binary.BigEndian.AppendUint64(b, t.Nonce)
	return binary.BigEndian.AppendUint32(b, uint32(t.Members))
}

// body is a block's transactions.
type body []tx

// digest stands for the root of the transactions.
func (b body) digest() pbft.Digest {
	buf := make([]byte, 0, 16+24*len(b))
	buf = append(buf, "body"...)
	for i := range b {
		buf = b[i].appendTo(buf)
		buf = binary.BigEndian.AppendUint64(buf, b[i].Mac)
	}
	return sha256.Sum256(buf)
}

// members is a committee: the set of its identities. Their order is the order of
// the replicas.
type members uint32

func (m members) has(who identity) bool { return m>>uint(who)&1 == 1 }

func (m members) size() int { return bits.OnesCount32(uint32(m)) }

// list returns the identities in the order of replicas.
func (m members) list() []identity {
	out := make([]identity, 0, m.size())
	for rest := uint32(m); rest != 0; rest &= rest - 1 {
		out = append(out, identity(bits.TrailingZeros32(rest)))
	}
	return out
}

// digest names the committee in headers.
func (m members) digest() pbft.Digest {
	return sha256.Sum256(binary.BigEndian.AppendUint32([]byte("members"), uint32(m)))
}

func (m members) String() string { return fmt.Sprint(m.list()) }

// window is which of a client's nonces were executed: all below base, and those
// at base+i for which bit i of done is set.
type window struct{ base, done uint64 }

// state is what the blocks build up. It is a value: copying it is executing on a
// branch.
type state struct {
	clients [maxClients]window
	sum     pbft.Digest // over all that was executed, in order
	current members     // the committee that orders the next block
	wanted  members     // the committee asked for last
	start   uint64      // the last block of the epoch before
}

var (
	errMac      = errors.New("signature of the client does not verify")
	errNonce    = errors.New("nonce outside of the client's window")
	errExecuted = errors.New("executed already")
	errMembers  = errors.New("no such committee")
)

// genesis returns the state that everybody begins with.
func genesis(m members) state { return state{current: m, wanted: m} }

// check says why a transaction cannot be executed, if so.
func (s *state) check(t *tx) error {
	if t.Client >= maxClients || t.Mac != t.sealed().Mac {
		return errMac
	}
	w := s.clients[t.Client]
	switch {
	case t.Nonce < w.base:
		return errExecuted
	case t.Nonce >= w.base+nonceWindow:
		return errNonce
	case w.done>>(t.Nonce-w.base)&1 == 1:
		return errExecuted
	case t.Members != 0 && t.Members.size() < 4:
		return errMembers
	}
	return nil
}

// apply executes one transaction.
func (s *state) apply(t *tx) error {
	if err := s.check(t); err != nil {
		return err
	}
	w := &s.clients[t.Client]
	w.done |= 1 << (t.Nonce - w.base)
	for w.done&1 == 1 {
		w.done >>= 1
		w.base++
	}
	if t.Members != 0 {
		s.wanted = t.Members
	}
	buf := append(make([]byte, 0, 64), s.sum[:]...)
	s.sum = sha256.Sum256(t.appendTo(buf))
	return nil
}

// executed reports whether a request was executed.
func (s *state) executed(r request) bool {
	w := s.clients[r.client]
	return r.nonce < w.base || (r.nonce < w.base+nonceWindow && w.done>>(r.nonce-w.base)&1 == 1)
}

// execute returns the state after a block of transactions, all of which must be
// good, and the committee for the header's Next if the block ends its epoch.
func (s state) execute(seq uint64, b body, epochLength uint64) (state, pbft.Digest, error) {
	for i := range b {
		if err := s.apply(&b[i]); err != nil {
			return s, pbft.Digest{}, fmt.Errorf("%v: %w", &b[i], err)
		}
	}
	renew := slices.ContainsFunc(b, func(t tx) bool { return t.Renew })
	if !renew && (s.wanted == s.current || seq < s.start+epochLength) {
		return s, pbft.Digest{}, nil
	}
	s.current, s.start = s.wanted, seq
	return s, s.current.digest(), nil
}

// root is the state root.
func (s *state) root() pbft.Digest {
	b := make([]byte, 0, 16*maxClients+64)
	for _, w := range s.clients {
		b = binary.BigEndian.AppendUint64(b, w.base)
		b = binary.BigEndian.AppendUint64(b, w.done)
	}
	b = append(b, s.sum[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(s.current))
	b = binary.BigEndian.AppendUint32(b, uint32(s.wanted))
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, s.start))
}
