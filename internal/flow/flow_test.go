package flow

import (
	"context"
	"errors"
	"testing"
)

func TestSend(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	to := make(chan int, 1)
	if err := Send(ctx, to, 7); err != nil || <-to != 7 {
		t.Error(err)
	}
	cancel(stopped)
	if err := Send(ctx, make(chan int), 7); !errors.Is(err, stopped) {
		t.Error(err)
	}
}

func TestFirstCause(t *testing.T) {
	first, later := errors.New("first"), errors.New("later")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := FirstCause(ctx, later); !errors.Is(err, later) {
		t.Error(err)
	}
	cancel(first)
	if err := FirstCause(ctx, later); !errors.Is(err, first) {
		t.Error(err)
	}
}
