package consensus

import (
	"fmt"
	"testing"
	"time"

	"github.com/decube/decube/internal/wire"
)

// A validator that sends votes without end has so many of them read, over however many streams,
// and the others do not wait for it.
func TestFramesOfOneValidatorArePaced(t *testing.T) {
	const atOnce, perSecond, beyond = 8, 20, 24
	a, b, h := withHostile(t, func(o *Options) { o.Limits.Votes.Frames, o.Limits.FrameRate = atOnce, perSecond })
	s, r := dial(t, h, a)
	if err := greet(t, s, r, Votes, 1); err != nil {
		t.Fatal(err)
	}
	send := func(from, to int) {
		var frames []byte
		for i := from; i < to; i++ {
			frames = wire.AppendFrame(frames, []byte(fmt.Sprint("vote ", i)))
		}
		if _, err := s.Write(frames); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	send(0, atOnce+beyond/2)
	a.awaitData(t, fmt.Sprint("vote ", atOnce+beyond/2-1))
	talk(t, a, b)
	s, r = dial(t, h, a) // another stream is no way around
	if err := greet(t, s, r, Votes, 1); err != nil {
		t.Fatal(err)
	}
	send(atOnce+beyond/2, atOnce+beyond)
	a.awaitData(t, fmt.Sprint("vote ", atOnce+beyond-1))
	if took, want := time.Since(began), time.Duration(beyond-1)*time.Second/perSecond; took < want {
		t.Errorf("%d votes were read within %v, want at least %v", atOnce+beyond, took, want)
	}
}

// Who waits for its turn does not hold up the end of its stream.
func TestPacedStreamEnds(t *testing.T) {
	a, _, h := withHostile(t, func(o *Options) { o.Limits.Votes.Frames, o.Limits.FrameRate = 1, 1 })
	s, r := dial(t, h, a)
	if err := greet(t, s, r, Votes, 1); err != nil {
		t.Fatal(err)
	}
	var frames []byte
	for range 1000 {
		frames = wire.AppendFrame(frames, []byte("vote"))
	}
	if _, err := s.Write(frames); err != nil {
		t.Fatal(err)
	}
	a.awaitData(t, "vote")
	began := time.Now()
	a.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}
