package blockstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"sync"

	"github.com/decube/decube/block"
)

// epochs counts garbage collections and knows who is writing. Each collection
// begins a new epoch. An entry stamped in or after the epoch in which a session
// began is not collected while that session lasts.
type epochs struct {
	ix *index

	mu       sync.Mutex
	current  uint32
	sessions map[*session]struct{}
}

// session is the registration of somebody who writes.
type session struct{ start uint32 }

func openEpochs(ix *index) (*epochs, error) {
	val, err := ix.meta(keyEpoch)
	if err != nil {
		return nil, fmt.Errorf("read the epoch: %w", err)
	}
	e := &epochs{ix: ix, current: 1, sessions: map[*session]struct{}{}}
	if len(val) == 4 {
		e.current = binary.LittleEndian.Uint32(val)
	}
	return e, nil
}

func (e *epochs) begin() *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &session{start: e.current}
	e.sessions[s] = struct{}{}
	return s
}

func (e *epochs) end(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

func (e *epochs) now() uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// next begins a new epoch, durably, and returns the threshold: entries with an
// older stamp were wanted by nobody since every session that is active began.
func (e *epochs) next() (threshold uint32, err error) {
	e.mu.Lock()
	next := e.current + 1
	e.mu.Unlock()
	if err := e.ix.setMeta(keyEpoch, binary.LittleEndian.AppendUint32(nil, next)); err != nil {
		return 0, fmt.Errorf("begin epoch %d: %w", next, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = next
	return e.oldest(next), nil
}

// peek returns the threshold that next would return.
func (e *epochs) peek() uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.oldest(e.current + 1)
}

func (e *epochs) oldest(threshold uint32) uint32 {
	for s := range e.sessions {
		threshold = min(threshold, s.start)
	}
	return threshold
}

// stamps are those of entries, by key, that are newer than what the index has. The
// zero value is empty.
type stamps map[block.Digest]uint32

func (s *stamps) set(key []byte, stamp uint32) {
	if *s == nil {
		*s = stamps{}
	}
	(*s)[block.Digest(key[1:])] = stamp
}

// forget drops those that are older than a threshold.
func (s stamps) forget(threshold uint32) {
	maps.DeleteFunc(s, func(_ block.Digest, stamp uint32) bool { return stamp < threshold })
}
