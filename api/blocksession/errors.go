package blocksession

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/internal/classify"
)

// ErrClosed is returned by a session that was closed or whose node went away.
var ErrClosed = errors.New("block session closed")

// errorCode is the first byte of an ERROR frame.
type errorCode uint8

const (
	codeInternal errorCode = 1
	codeNotFound errorCode = 2
	codeCorrupt  errorCode = 3
	codeNoSpace  errorCode = 4
	codeTimeout  errorCode = 5
	codeCanceled errorCode = 6
	codeInvalid  errorCode = 7
	codeClosing  errorCode = 8
)

// codes joins error codes with what they mean on either side; the first match
// wins when an error is encoded.
var codes = [...]struct {
	code errorCode
	err  error
}{
	{codeNotFound, api.ErrNotFound},
	{codeNoSpace, api.ErrNoSpace},
	{codeCorrupt, api.ErrCorrupt},
	{codeTimeout, api.ErrTimeout},
	{codeCanceled, context.Canceled},
	{codeInvalid, api.ErrInvalid},
	{codeClosing, ErrClosed},
	{codeInternal, api.ErrInternal},
}

// RemoteError is an error that the node answered with. It wraps the sentinel of
// package api that the node's error was of.
type RemoteError struct {
	code errorCode
	text string
}

// Error returns the node's own words.
func (e *RemoteError) Error() string { return e.text }

// Unwrap returns the sentinel.
func (e *RemoteError) Unwrap() error {
	for _, c := range codes {
		if c.code == e.code {
			return c.err
		}
	}
	return api.ErrInternal
}

func appendError(b []byte, err error) []byte {
	err = classify.Error(err)
	code := codeInternal
	for _, c := range codes {
		if errors.Is(err, c.err) {
			code = c.code
			break
		}
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return append(append(b, byte(code)), text...)
}

func parseError(b []byte) (*RemoteError, error) {
	if len(b) == 0 || !utf8.Valid(b[1:]) {
		return nil, fmt.Errorf("%w: ERROR of %d bytes", errProtocol, len(b))
	}
	return &RemoteError{code: errorCode(b[0]), text: string(b[1:])}, nil
}
