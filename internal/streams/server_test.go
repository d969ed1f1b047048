package streams_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// begin has a server serve echo until stop is called, which returns what Run did.
func begin(t *testing.T, s *streams.Server, h *fakeHost) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, h, streams.Options{}, streams.Handler{
			ID: echo, Limits: someLimits(), Refuse: func(c admission.Code) []byte { return []byte(c.Reason.String()) },
			Serve: func(ctx context.Context, s *streams.Stream) error { return answers(ctx, s, func() {}) },
		})
	}()
	synctest.Wait()
	return func() error {
		cancel()
		return <-done
	}
}

func TestServerIsDrainedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams.Server
		h := newHost(8 * unit)
		stop := begin(t, &s, h)
		resting, busy := h.open(t, "a", at(1, 1)), h.open(t, "b", at(2, 1))
		resting.ask(1)
		busy.write(2)
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- s.Drain(t.Context()) }()
		if got := resting.ended(); got != "" {
			t.Errorf("who rests is told %q", got)
		}
		if got := h.open(t, "c", at(3, 1)).ended(); got != "stopping" {
			t.Errorf("who comes is told %q", got)
		}
		busy.take(2 * unit)
		if got := busy.ended(); got != "" {
			t.Errorf("who was answered is told %q", got)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestServerThatIsDrainedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s streams.Server
		if err := s.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		h := newHost(8 * unit)
		stop := begin(t, &s, h)
		if len(h.handlers) > 0 {
			t.Error("it serves all the same")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestServerOfHandlersThatCannotWork(t *testing.T) {
	if err := new(streams.Server).Run(t.Context(), newHost(1), streams.Options{}, streams.Handler{}); !errors.Is(err, streams.ErrInvalid) {
		t.Errorf("%v", err)
	}
}
