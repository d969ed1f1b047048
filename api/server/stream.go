package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/decube/decube/api"
)

// progressInterval is the least time between two progress events.
const progressInterval = 100 * time.Millisecond

// Stream registers an operation that reports progress P as it goes and ends with
// a result R or a problem. The operation is cancelled when the client goes away.
func Stream[I, P, R any](r *Router, op huma.Operation, run func(ctx context.Context, in *I, progress func(P)) (R, error)) {
	var step P
	var end R
	events := map[string]any{api.EventProgress: step, api.EventResult: end, api.EventError: api.Problem{}}
	sse.Register(r.API(), op, events, func(ctx context.Context, in *I, send sse.Sender) {
		defer EndOnPanic()
		var last time.Time
		result, err := run(ctx, in, func(p P) {
			if now := time.Now(); now.Sub(last) >= progressInterval {
				last = now
				_ = send.Data(p) // a client that went away cancels ctx
			}
		})
		finish(ctx, send, result, err)
	})
}

// List registers an operation that sends items as they are found and ends with a
// result or a problem.
func List[I, T, R any](r *Router, op huma.Operation, run func(ctx context.Context, in *I, item func(T) error) (R, error)) {
	var one T
	var end R
	events := map[string]any{api.EventItem: one, api.EventResult: end, api.EventError: api.Problem{}}
	sse.Register(r.API(), op, events, func(ctx context.Context, in *I, send sse.Sender) {
		defer EndOnPanic()
		result, err := run(ctx, in, func(t T) error { return send.Data(t) })
		finish(ctx, send, result, err)
	})
}

// finish ends a stream, unless the client went away or the server stops: then the
// stream is cut, which says as much.
func finish(ctx context.Context, send sse.Sender, result any, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		_ = send.Data(*Problem(err)) // nobody is left to be told of a failure here
		return
	}
	_ = send.Data(result) // likewise
}
