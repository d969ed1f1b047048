package pbft

import "github.com/decube/decube/ledger/quorum"

// maxUint is the most bytes of an integer in a message: 63 bits, seven to a byte.
const maxUint = 9

// MaxCertificate returns how many bytes the encoding of a certificate of n replicas
// takes at most, all of their signatures in it.
func MaxCertificate(n int) int {
	size := 1 + 3*maxUint + 2*len(Digest{}) + uintSize(n)
	for r := range n {
		size += uintSize(r) + len(Signature{})
	}
	return size
}

// MaxNewView returns how many bytes the encoding of a NEW-VIEW takes at most, for n
// replicas of which no more than may be are faulty, and a window of slots. No other
// message without a body is larger.
//
// It has the certificate of the highest base, and one with its header for each slot.
// One view change refers to all of these; the others can claim another base each,
// and at each slot a lock of a view of its own.
func MaxNewView(n, window int) int {
	const (
		reference = 1
		base      = 1 + maxUint + len(Digest{})
		claim     = 1 + 1 + maxUint + len(Digest{})
		signature = len(Signature{})
	)
	cert := MaxCertificate(n)
	size := 1 + 2*maxUint                                    // kind, epoch, view
	size += 1 + cert                                         // the base
	size += uintSize(window) + window*(HeaderSize+cert)      // the locks
	size += uintSize(n) + n*(uintSize(window)+signature)     // the view changes
	size += reference*(1+window) + (n-1)*(base+window*claim) // and what they claim
	for r := range n {
		size += uintSize(r)
	}
	return size + window*signature + signature // the proposals, the leader's own
}

// uintSize returns the length of a small number's encoding in bytes.
func uintSize(v int) int {
	if v < 0x80 {
		return 1
	}
	return 2
}

// MaxReplicas and MaxWindow are below what two bytes hold, and references to
// MaxWindow locks below what one does.
const (
	_ = uint(1<<14 - 1 - quorum.MaxReplicas)
	_ = uint(0x80 - 1 - MaxWindow)
)
