package consensus

import (
	"encoding/hex"
	"errors"
	"fmt"
)

var (
	// ErrVersion is returned for a peer that speaks another version.
	ErrVersion = errors.New("another version of the protocol")
	// ErrNetwork is returned for a peer with another genesis.
	ErrNetwork = errors.New("another network")
	// ErrStranger is returned where one of the two is no validator.
	ErrStranger = errors.New("not a validator")
	// ErrSuperseded is returned when another process with the same key took the place
	// because this one did not answer.
	ErrSuperseded = errors.New("superseded by another process with the same key")
	// ErrKeyInUse is returned when another process with the same key has the place, and
	// answers.
	ErrKeyInUse = errors.New("another process signs with this key")
	// ErrBusy is returned by a peer that cannot take one more stream.
	ErrBusy = errors.New("busy")
	// ErrMalformed is returned for bytes that no validator sends.
	ErrMalformed = errors.New("malformed")
	// ErrUnreachable is returned for a validator whose addresses nobody knows.
	ErrUnreachable = errors.New("no address known")
)

// code is a reply to a stream's opener.
type code byte

const (
	codeWelcome    code = 0
	codeVersion    code = 1
	codeNetwork    code = 2
	codeStranger   code = 3
	codeSuperseded code = 4
	codeBusy       code = 5
	codeMalformed  code = 6
	codeTaken      code = 7
	codeKeyInUse   code = 8
	codeProbe      code = 9
)

// refusesNothing reports whether a reply leaves the stream as it is.
func (c code) refusesNothing() bool { return c == codeWelcome || c == codeTaken || c == codeProbe }

// reasons are the errors that codes stand for.
var reasons = map[code]error{
	codeVersion: ErrVersion, codeNetwork: ErrNetwork, codeStranger: ErrStranger,
	codeSuperseded: ErrSuperseded, codeBusy: ErrBusy, codeMalformed: ErrMalformed,
	codeKeyInUse: ErrKeyInUse,
}

// refusal is what a reply other than a welcome says.
type refusal struct {
	code    code
	network [32]byte // of who refuses, with codeNetwork
	taken   uint64   // with codeTaken, which refuses nothing
}

func (r refusal) Error() string {
	if r.code == codeNetwork {
		return fmt.Sprintf("refused: %v: its genesis has digest %s; compare the genesis files", ErrNetwork, hex.EncodeToString(r.network[:]))
	}
	return fmt.Sprintf("refused: %v", reasons[r.code])
}

// Unwrap returns the sentinel that the code stands for.
func (r refusal) Unwrap() error { return reasons[r.code] }

// codeOf returns the code that tells a peer about err, if it has one.
func codeOf(err error) (code, bool) {
	for c, reason := range reasons {
		if errors.Is(err, reason) {
			return c, true
		}
	}
	return 0, false
}
