package tx

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// MaxProof is the most hashes of a proof of inclusion: the height of the tree of
// [MaxBatch] transactions.
const MaxProof = 14

// ErrProof is returned for a proof that does not prove what it is asked to, and
// for a transaction that there can be no proof of.
var ErrProof = errors.New("the transaction is not proved to be in the block")

// Proof are the hashes that lead from a transaction's ID to the root of its block,
// from the leaf upwards (RFC 6962, section 2.1.1).
type Proof []ID

// Root returns the RFC 6962 tree head of a block's transactions, in their order.
// That of no transactions is SHA-256 of nothing.
func Root(ids []ID) [32]byte {
	root := rfc6962.DefaultHasher.EmptyRoot()
	if len(ids) > 0 {
		root = walk(ids, nil)
	}
	return [32]byte(root)
}

// walk builds the tree over ids, shows visit the nodes above the leaves, and
// returns the root. There is at least one ID.
func walk(ids []ID, visit compact.VisitFn) []byte {
	nodes := make([]byte, 0, len(ids)*sha256.Size) // one node for each leaf but the first
	factory := compact.RangeFactory{Hash: func(left, right []byte) []byte {
		var children [1 + 2*sha256.Size]byte
		children[0] = rfc6962.RFC6962NodeHashPrefix
		copy(children[1:], left)
		copy(children[1+sha256.Size:], right)
		sum := sha256.Sum256(children[:])
		begin := len(nodes)
		nodes = append(nodes, sum[:]...)
		return nodes[begin:]
	}}
	tree := factory.NewEmptyRange(0)
	for i := range ids {
		if err := tree.Append(ids[i][:], visit); err != nil {
			panic(fmt.Sprintf("tx: tree of %d transactions: %v", len(ids), err)) // only for a range that ends above 2^64
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		panic(fmt.Sprintf("tx: tree of %d transactions: %v", len(ids), err)) // only for a range that does not begin at 0
	}
	return root
}

// ProveInclusion returns the proof that the i-th of a block's transactions is in
// it, and ErrProof when there is no i-th.
func ProveInclusion(ids []ID, i int) (Proof, error) {
	if i < 0 || i >= len(ids) {
		return nil, fmt.Errorf("%w: it has no transaction %d of %d", ErrProof, i, len(ids))
	}
	wanted, err := proof.Inclusion(uint64(i), uint64(len(ids))) // not negative
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	place := make(map[compact.NodeID]int, len(wanted.IDs))
	hashes := make([][]byte, len(wanted.IDs))
	for p, node := range wanted.IDs {
		place[node] = p
		if node.Level == 0 {
			hashes[p] = ids[node.Index][:]
		}
	}
	walk(ids, func(node compact.NodeID, hash []byte) {
		if p, ok := place[node]; ok {
			hashes[p] = hash
		}
	})
	hashes, err = wanted.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	out := make(Proof, len(hashes))
	for p, hash := range hashes {
		out[p] = ID(hash)
	}
	return out, nil
}

// VerifyInclusion returns ErrProof unless the proof shows that the transaction
// with this ID is the one at index of the size transactions with that root.
func VerifyInclusion(id ID, index, size uint64, p Proof, root [32]byte) error {
	if size > MaxBatch || len(p) > MaxProof {
		return fmt.Errorf("%w: %d transactions, %d hashes", ErrProof, size, len(p))
	}
	hashes := make([][]byte, len(p))
	for i := range p {
		hashes[i] = p[i][:]
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, id[:], hashes, root[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}
