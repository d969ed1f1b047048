package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// ErrNoProviders is returned when nobody could be found that has what was
// asked for; a *NoProvidersError says what was tried.
var ErrNoProviders = errors.New("no providers")

// code is why a server does not answer.
type code byte

const (
	codeNoRoot     code = 1
	codeNoIndex    code = 2
	codeBadRequest code = 3
	codeBusy       code = 4
	codeFailed     code = 5
)

func (c code) Error() string {
	switch c {
	case codeNoRoot:
		return "does not have the root"
	case codeNoIndex:
		return "does not have the chunk index"
	case codeBadRequest:
		return "refused the request"
	case codeBusy:
		return "is busy"
	case codeFailed:
		return "failed to answer"
	default:
		return fmt.Sprintf("answered with code %d", byte(c))
	}
}

// hostileError is a breach of the protocol: the peer is not asked again.
type hostileError struct{ err error }

func (e *hostileError) Error() string { return e.err.Error() }
func (e *hostileError) Unwrap() error { return e.err }

func hostile(format string, args ...any) error {
	return &hostileError{err: fmt.Errorf(format, args...)}
}

func isHostile(err error) bool {
	var h *hostileError
	return errors.As(err, &h)
}

// errStalled is the end of a session that made no progress.
var errStalled = errors.New("stalled")

// PeerFailure is why a peer could not provide.
type PeerFailure struct {
	Peer peer.ID
	Err  error
}

// NoProvidersError says what was tried before a fetch gave up. It is an
// ErrNoProviders, and what ended the wait (ctx's error, or the search's).
type NoProvidersError struct {
	Root     block.ID
	Found    int           // providers that the search returned
	Asked    int           // peers that a stream was opened to
	Searches int           // searches made
	Failures []PeerFailure // the last failure of each peer
	Cause    error
}

// Error leaves the root to whoever wraps the error, as Fetch does.
func (e *NoProvidersError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s found %s, %d asked", ErrNoProviders, plural(e.Searches, "search", "searches"), plural(e.Found, "peer", "peers"), e.Asked)
	const most = 5
	for i, f := range e.Failures {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Failures)-most)
			break
		}
		fmt.Fprintf(&b, "; %s: %v", f.Peer, f.Err)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

func plural(n int, one, more string) string {
	if n == 1 {
		more = one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// Unwrap makes the error an ErrNoProviders and its cause.
func (e *NoProvidersError) Unwrap() []error {
	return slices.DeleteFunc([]error{ErrNoProviders, e.Cause}, func(err error) bool { return err == nil })
}
