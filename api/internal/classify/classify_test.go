package classify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/internal/classify"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

func TestError(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{block.ErrSyntax, api.ErrInvalid},
		{block.ErrUnsupported, api.ErrInvalid},
		{block.ErrMismatch, api.ErrCorrupt},
		{snapshot.ErrManifest, api.ErrCorrupt},
		{block.ErrNotFound, api.ErrNotFound},
		{&blockstore.CorruptError{}, api.ErrCorrupt},
		{blockstore.ErrNoSpace, api.ErrNoSpace},
		{blockstore.ErrQuota, api.ErrNoSpace},
		{blockstore.ErrBusy, api.ErrConflict},
		{blockstore.ErrLocked, api.ErrConflict},
		{blockstore.ErrClosed, api.ErrUnavailable},
		{&fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, api.ErrNoSpace},
		{syscall.EDQUOT, api.ErrNoSpace},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, api.ErrForbidden},
		{context.DeadlineExceeded, api.ErrTimeout},
	} {
		err := fmt.Errorf("reading chunk 7: %w", c.err)
		got := classify.Error(err)
		if !errors.Is(got, c.want) || !errors.Is(got, c.err) || got.Error() != err.Error() {
			t.Errorf("%v: %v, want it to wrap %v too and read the same", err, got, c.want)
		}
	}
}

func TestErrorLeavesAlone(t *testing.T) {
	odd := errors.New("odd")
	settled := fmt.Errorf("%w: %w", api.ErrIncomplete, block.ErrNotFound) // a room of the API decided
	for _, err := range []error{nil, odd, context.Canceled, settled} {
		if got := classify.Error(err); got != err { //nolint:errorlint // the very same
			t.Errorf("%v became %v", err, got)
		}
	}
}
