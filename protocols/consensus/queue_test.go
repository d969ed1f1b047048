package consensus

import (
	"testing"

	"pgregory.net/rapid"
)

// The queue is held against a slice.
func TestQueueKeepsToItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Queue{Frames: rapid.IntRange(1, 8).Draw(t, "frames"), Bytes: rapid.IntRange(8, 64).Draw(t, "bytes")}
		q := newQueue(limit)
		var want [][]byte
		bytes, open := 0, false
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				frame := make([]byte, rapid.IntRange(1, 8).Draw(t, "size"))
				fits := func() bool { return len(want) < limit.Frames && bytes+len(frame) <= limit.Bytes }
				wantDropped := 0
				for !open && !fits() {
					bytes -= len(want[0])
					want = want[1:]
					wantDropped++
				}
				wantQueued := fits()
				if wantQueued {
					want = append(want, frame)
					bytes += len(frame)
				} else {
					wantDropped++
				}
				if queued, dropped := q.push(frame); queued != wantQueued || dropped != wantDropped {
					t.Fatalf("push: %v, %d dropped, want %v, %d", queued, dropped, wantQueued, wantDropped)
				}
			},
			"pop": func(t *rapid.T) {
				got := q.pop()
				if len(want) == 0 {
					if got != nil {
						t.Fatal("an empty queue has a frame")
					}
					return
				}
				if &got[0] != &want[0][0] {
					t.Fatal("frames out of order")
				}
				bytes -= len(got)
				want = want[1:]
			},
			"open":  func(*rapid.T) { open = true; q.setOpen(true) },
			"close": func(*rapid.T) { open = false; q.setOpen(false) },
			"": func(t *rapid.T) {
				if q.bytes != bytes || len(q.frames)-q.head != len(want) {
					t.Fatalf("%d frames, %d bytes, want %d, %d", len(q.frames)-q.head, q.bytes, len(want), bytes)
				}
				if cap(q.frames) > 4*limit.Frames+4 {
					t.Fatalf("room for %d frames, at most %d may be queued", cap(q.frames), limit.Frames)
				}
			},
		})
	})
}
