package receipt

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Which part of a receipt is wrong. An error about a block's proof wraps one of
// these and one of the reasons below: a hop whose certificate has too few signatures is
// ErrHop and ErrQuorum.
var (
	// ErrMalformed is returned for bytes that are not a receipt, and for a receipt
	// that has no encoding.
	ErrMalformed = errors.New("malformed receipt")
	// ErrGenesis is returned for what belongs to another ledger.
	ErrGenesis = errors.New("of another ledger")
	// ErrTrust is returned for what does not begin with the validator set that is
	// trusted.
	ErrTrust = errors.New("not from the validators that are trusted")
	// ErrHop is returned when the chain of validator sets breaks.
	ErrHop = errors.New("the chain of validator sets is broken")
	// ErrBlock is returned when the transaction's block is not proved.
	ErrBlock = errors.New("the transaction's block is not proved")
	// ErrTransaction is returned for a transaction that is not its owner's.
	ErrTransaction = errors.New("transaction is not its owner's")
	// ErrInclusion is returned for a transaction that is not proved to be in the
	// block.
	ErrInclusion = errors.New("transaction is not in the block")
)

// Why a block is not proved.
var (
	// ErrSet is returned for a block that another set of validators orders than the one
	// at hand.
	ErrSet = errors.New("block of another set of validators")
	// ErrOrder is returned for a block that does not come after the one with which its
	// validators came into office, in sequence, epoch and time.
	ErrOrder = errors.New("blocks out of order")
	// ErrCertificate is returned for a certificate that is not of the kind wanted
	// for the block beside it.
	ErrCertificate = errors.New("certificate does not prove the block")
	// ErrSigner is returned for a certificate signed by whom the set has not.
	ErrSigner = errors.New("signer is not a validator of the set")
	// ErrQuorum is returned for a certificate with too few signatures.
	ErrQuorum = errors.New("certificate lacks a quorum")
	// ErrSignature is returned when a validator's signature does not verify.
	ErrSignature = errors.New("validator's signature does not verify")
)

// explain says for which of the reasons the core's verifier refused a certificate.
// The verdict is the core's.
func explain(err error, cert *pbft.Certificate, committee quorum.Committee) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pbft.ErrSignature):
		return fmt.Errorf("%w: %w", ErrSignature, err)
	case errors.Is(err, quorum.ErrReplica):
		return fmt.Errorf("%w: %w", ErrSigner, err)
	case cert.Phase != pbft.Prepare && !committee.Certifies(signers(cert)):
		return fmt.Errorf("%w: %d signatures, %d are needed: %w", ErrQuorum, len(cert.Sigs), committee.Quorum(), err)
	default:
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
}

// signers returns who signed a certificate.
func signers(cert *pbft.Certificate) quorum.Set {
	var set quorum.Set
	for i := range cert.Sigs {
		set.Add(cert.Sigs[i].Replica)
	}
	return set
}
