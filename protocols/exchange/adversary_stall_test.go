package exchange

import (
	"errors"
	"io"
	"testing"
	"time"
)

// A provider that stops, at every point where it can.

func TestAdversaryStallsBeforeHave(t *testing.T) {
	suiteStall(t, func(w io.Writer, _ request, _ *sample) error { return hang(w) })
}

func TestAdversaryStallsInBitmap(t *testing.T) {
	suiteStall(t, func(w io.Writer, req request, s *sample) error {
		a := answer{kind: tellHave, id: req.id, total: len(s.blocks), form: formSome}
		return errors.Join(tell(w, a, []byte{1, 2}), hang(w))
	})
}

func TestAdversaryStallsBeforeBlock(t *testing.T) {
	suiteStall(t, honestly(func(w io.Writer, _ answer, _ []byte) error { return hang(w) }))
}

func TestAdversaryStallsInHeader(t *testing.T) {
	suiteStall(t, honestly(func(w io.Writer, _ answer, _ []byte) error {
		_, err := w.Write([]byte{byte(tellBlock)})
		return errors.Join(err, hang(w))
	}))
}

func TestAdversaryStallsInBlock(t *testing.T) {
	suiteStall(t, honestly(func(w io.Writer, a answer, data []byte) error {
		return errors.Join(tell(w, a, data[:min(len(data), 5000)]), hang(w))
	}))
}

func TestAdversaryStallsBeforeEnd(t *testing.T) {
	suiteStall(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellEnd {
			return hang(w)
		}
		return tell(w, a, data)
	}))
}

func TestAdversaryStallsInManifest(t *testing.T) {
	t.Parallel()
	err := alone(t, func(w io.Writer, req request, s *sample) error {
		if req.kind == askBlocks {
			return hang(w)
		}
		return honestly(tell)(w, req, s)
	})
	var none *NoProvidersError
	if !errors.As(err, &none) || len(none.Failures) != 1 || !errors.Is(none.Failures[0].Err, errStalled) {
		t.Errorf("Fetch: %v", err)
	}
}

// A slow loris sends a byte now and then, each well before the time-out.
func TestAdversarySlowLoris(t *testing.T) {
	suiteStall(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if err := tell(w, a, nil); err != nil {
			return err
		}
		for i := range data {
			if _, err := w.Write(data[i : i+1]); err != nil {
				return err
			}
			if err := pauseUnlessClosed(w); err != nil {
				return err
			}
		}
		return nil
	}))
}

// TestStallIsNotWaitedFor has a provider stop in the middle of a block: whoever is
// idle brings the block, long before the time-out ends the session.
func TestStallIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	st := newStage(t, honestly(func(w io.Writer, a answer, data []byte) error {
		return errors.Join(tell(w, a, data[:len(data)/2]), hang(w))
	}), func(c *Config) { c.Limits.StallTimeout = time.Hour })
	join(t, newHost(t), st.finder).provideWhen(st.sample, st.asked)
	st.play(t, false)
}
