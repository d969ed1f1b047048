package statesync

import (
	"errors"
	"fmt"
)

var (
	// ErrRefused is returned for a request that is malformed or out of range.
	ErrRefused = errors.New("request refused")
	// ErrNotFound is returned for what is not in the ledger.
	ErrNotFound = errors.New("not in the ledger")
	// ErrPruned is returned for what is so old that the peer does not keep it.
	ErrPruned = errors.New("not kept that far back")
	// ErrBusy is returned by a peer that serves as many as it may.
	ErrBusy = errors.New("peer is busy")
	// ErrFailed is returned by a peer that cannot answer for reasons of its own.
	ErrFailed = errors.New("peer failed to answer")
	// ErrMalformed is returned for an answer that breaks the protocol.
	ErrMalformed = errors.New("answer breaks the protocol")
	// ErrOversize is returned, with ErrMalformed, for an item that is larger than it may
	// be. It is not read.
	ErrOversize = errors.New("item is too large")
	// ErrStalled is returned for a peer that stood still in the middle of an answer.
	ErrStalled = errors.New("peer stalled")
)

// code is why a request is not answered.
type code byte

const (
	codeRefused  code = 1
	codeNotFound code = 2
	codePruned   code = 3
	codeBusy     code = 4
	codeFailed   code = 5
)

// sentinels are the errors that codes stand for.
var sentinels = [...]error{
	codeRefused: ErrRefused, codeNotFound: ErrNotFound, codePruned: ErrPruned, codeBusy: ErrBusy, codeFailed: ErrFailed,
}

func (c code) known() bool { return c >= codeRefused && c <= codeFailed }

// codeOf returns what a client is told about err.
func codeOf(err error) code {
	for c := codeRefused; c < codeFailed; c++ {
		if errors.Is(err, sentinels[c]) {
			return c
		}
	}
	return codeFailed
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}
