// Package classify gives errors of the rooms below the API the sentinel of
// package api that a client can branch on.
package classify

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

var foreign = [...]struct{ from, to error }{
	{block.ErrSyntax, api.ErrInvalid},
	{block.ErrUnsupported, api.ErrInvalid},
	{block.ErrMismatch, api.ErrCorrupt},
	{snapshot.ErrManifest, api.ErrCorrupt},
	{block.ErrNotFound, api.ErrNotFound},
	{blockstore.ErrCorrupt, api.ErrCorrupt},
	{blockstore.ErrPins, api.ErrCorrupt},
	{blockstore.ErrReadOnly, api.ErrForbidden},
	{blockstore.ErrNoSpace, api.ErrNoSpace},
	{blockstore.ErrQuota, api.ErrNoSpace},
	{blockstore.ErrBusy, api.ErrConflict},
	{blockstore.ErrLocked, api.ErrConflict},
	{blockstore.ErrClosed, api.ErrUnavailable},
	{syscall.ENOSPC, api.ErrNoSpace},
	{syscall.EDQUOT, api.ErrNoSpace},
	{context.DeadlineExceeded, api.ErrTimeout},
	{fs.ErrPermission, api.ErrForbidden},
}

// own are the sentinels that an error may wrap already.
var own = [...]error{
	api.ErrInvalid, api.ErrUnauthorised, api.ErrForbidden, api.ErrNotFound, api.ErrConflict, api.ErrIncomplete,
	api.ErrTooLarge, api.ErrCorrupt, api.ErrNoSpace, api.ErrTimeout, api.ErrUnavailable, api.ErrInternal,
}

// Error returns err, wrapping a sentinel of package api too where err itself
// does not and one is known for it. The text stays the same. nil stays nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	for _, sentinel := range own {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	for _, f := range foreign {
		if errors.Is(err, f.from) {
			return classified{err, f.to}
		}
	}
	return err
}

type classified struct{ err, sentinel error }

func (c classified) Error() string   { return c.err.Error() }
func (c classified) Unwrap() []error { return []error{c.err, c.sentinel} }
