// Package flow holds what stages that hand work to each other over channels have in
// common.
package flow

import "context"

// Send sends v unless the context ends first, whose cause it returns then.
func Send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// FirstCause returns why a group of stages ended: the error that stopped the others
// rather than what one of them says of having been stopped. The context is the group's,
// cancelled with the cause; err is what the group returned.
func FirstCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
