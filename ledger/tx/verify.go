package tx

import "github.com/decube/decube/internal/sig"

// VerifyAll returns for each transaction nil, or a *Rejection when it is for
// another network or its signature is not its owner's. The signatures are
// verified together.
func VerifyAll(v sig.Checker, network [32]byte, txs []*Transaction) []error {
	errs := make([]error, len(txs))
	size := 0
	for _, t := range txs {
		size += len(domain) + len(t.raw) - sig.Size
	}
	statements := make([]byte, 0, size) // never grows: messages share its memory
	items := make([]sig.Item, 0, len(txs))
	which := make([]int, 0, len(txs)) // the transaction that an item is of
	for i, t := range txs {
		if t.Network != network {
			errs[i] = Reject(CodeWrongNetwork, "for network %x, this is %x", t.Network[:6], network[:6])
			continue
		}
		begin := len(statements)
		statements = t.appendStatement(statements)
		items = append(items, sig.Item{Key: t.Owner, Message: statements[begin:], Signature: t.Signature})
		which = append(which, i)
	}
	for _, bad := range v.VerifyBatch(items) {
		t := txs[which[bad]]
		errs[which[bad]] = Reject(CodeBadSignature, "not of %s", t.Owner)
	}
	return errs
}

// Verify returns nil, or the *Rejection that [VerifyAll] has for the transaction.
func (t *Transaction) Verify(v sig.Checker, network [32]byte) error {
	return VerifyAll(v, network, []*Transaction{t})[0]
}
