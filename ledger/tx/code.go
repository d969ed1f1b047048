package tx

import (
	"errors"
	"fmt"
)

// Code says what became of a transaction. Its numbers and its names are stable:
// both are part of formats, numbers of the ledger's and names of the API's.
type Code uint8

// The codes. What each means and what to do about it is said by [Code.Explain].
const (
	CodeOK                Code = 0
	CodeMalformed         Code = 1
	CodeTooLarge          Code = 2
	CodeWrongNetwork      Code = 3
	CodeBadSignature      Code = 4
	CodeInvalid           Code = 5
	CodeNonceUsed         Code = 6
	CodeNonceTooFar       Code = 7
	CodeNameTaken         Code = 8
	CodeNotOwner          Code = 9
	CodeNotFound          Code = 10
	CodeAlreadyRegistered Code = 11
	CodeNotValidator      Code = 12
	CodeLimitExceeded     Code = 13
	CodeNotAllowed        Code = 14
	CodeQueueFull         Code = 15
	CodeExpired           Code = 16
	CodeDuplicate         Code = 17
	CodeUnavailable       Code = 18
	CodeRenewals          Code = 19
	CodeGrowth            Code = 20
	CodeNotAdmitted       Code = 21
)

// codes are the names and explanations, by number.
var codes = [...]struct{ name, explain string }{
	CodeOK:                {"ok", "The transaction was accepted."},
	CodeMalformed:         {"malformed", "The bytes are not a transaction; encode it again with a current decubectl."},
	CodeTooLarge:          {"too_large", "The transaction or one of its fields is too long; shorten it or split it into several."},
	CodeWrongNetwork:      {"wrong_network", "The transaction was signed for another network; sign it again with this network's genesis."},
	CodeBadSignature:      {"bad_signature", "The signature is not the owner's of this transaction; sign it again with the owner's key."},
	CodeInvalid:           {"invalid", "A field breaks the rules of its operation; correct it and sign again."},
	CodeNonceUsed:         {"nonce_used", "The owner has already used this nonce; look up the account's next nonce and sign again."},
	CodeNonceTooFar:       {"nonce_too_far", "The nonce is too far ahead of the owner's last; send the transactions before it first."},
	CodeNameTaken:         {"name_taken", "Somebody else holds this name; choose another, or have its holder offer it to you."},
	CodeNotOwner:          {"not_owner", "The name or snapshot belongs to somebody else; sign with its owner's key."},
	CodeNotFound:          {"not_found", "What the operation refers to does not exist; check the name, root or key."},
	CodeAlreadyRegistered: {"already_registered", "The owner has registered this snapshot before; there is nothing left to do."},
	CodeNotValidator:      {"not_validator", "The key is no validator's; check the list of validators."},
	CodeLimitExceeded:     {"limit_exceeded", "The owner or the network has as many of these as are allowed; retire some first, or have the limit raised."},
	CodeNotAllowed:        {"not_allowed", "The owner may not do this, or not yet; see the details for what stands against it."},
	CodeQueueFull:         {"queue_full", "Too many transactions are waiting; send this one again in a few seconds."},
	CodeExpired:           {"expired", "The transaction waited too long, and this node waits for it no more; others may still have it ordered, so send this very one again."},
	CodeDuplicate:         {"duplicate", "This very transaction is already waiting; wait for it to be committed."},
	CodeUnavailable:       {"unavailable", "The node cannot have transactions ordered at the moment; try again, or ask another node."},
	CodeRenewals:          {"renewals", "The validator has taken its place anew as often as it may for now; it may again once 10 minutes have passed."},
	CodeGrowth:            {"growth", "The ledger grows as fast as it may; send this one again later, the details say when there is room."},
	CodeNotAdmitted:       {"not_admitted", "The ledger orders operations of the keys that its genesis document lists only; sign with one of those."},
}

// ErrCode is returned for a text that names no code.
var ErrCode = errors.New("no such rejection code")

// Valid reports whether c is one of the codes.
func (c Code) Valid() bool { return int(c) < len(codes) }

// String returns the code's stable name, such as "nonce_used".
func (c Code) String() string {
	if !c.Valid() {
		return fmt.Sprintf("code(%d)", uint8(c))
	}
	return codes[c].name
}

// Explain returns what the code means and what to do about it, in one line.
func (c Code) Explain() string {
	if !c.Valid() {
		return "A code that this version does not know."
	}
	return codes[c].explain
}

// ParseCode returns the code of a name, and ErrCode when there is none.
func ParseCode(name string) (Code, error) {
	for c := range codes {
		if codes[c].name == name {
			return Code(c), nil // there are few codes
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrCode, name)
}

// MarshalText returns the code's name.
func (c Code) MarshalText() ([]byte, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("%w: %d", ErrCode, uint8(c))
	}
	return []byte(c.String()), nil
}

// UnmarshalText is [ParseCode].
func (c *Code) UnmarshalText(text []byte) error {
	got, err := ParseCode(string(text))
	if err == nil {
		*c = got
	}
	return err
}

// Rejection is why a transaction was not accepted. It is an error.
type Rejection struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"` // what exactly, of this transaction
}

// Reject returns a *Rejection with a formatted detail.
func Reject(code Code, format string, args ...any) error {
	return &Rejection{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Error returns the code's name and the detail.
func (r *Rejection) Error() string { return r.Code.String() + ": " + r.Detail }

// CodeOf returns the code of the rejection that err is or wraps, and CodeOK for
// nil. It returns false for any other error, which is no verdict on a transaction.
func CodeOf(err error) (Code, bool) {
	if err == nil {
		return CodeOK, true
	}
	if r, ok := errors.AsType[*Rejection](err); ok {
		return r.Code, true
	}
	return 0, false
}
