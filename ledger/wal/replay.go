package wal

import (
	"iter"
	"slices"
)

// Record is one entry of the log.
type Record struct {
	Index uint64
	Kind  byte
	Data  []byte // the receiver's to keep
}

// Replay yields the durable records in order, from the oldest that is kept. It
// stops after an error, which is ErrCorrupt if the disk no longer holds what
// Open found. The log must not be changed while it runs.
func (l *Log) Replay() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if l.failed != nil {
			yield(Record{}, l.failed)
			return
		}
		for _, s := range l.live {
			more := true
			err := withBuffer(int(s.end), func(b []byte) error {
				if err := s.read(b); err != nil {
					return err
				}
				var err error
				more, err = s.replay(image{b, s.sums}, yield)
				return err
			})
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// replay yields the records of one segment, and reports whether more are wanted.
func (s *segment) replay(m image, yield func(Record, error) bool) (bool, error) {
	block := 0
	for group := s.first; group <= s.last; group++ {
		g, ok := m.groupAt(block, group, nil)
		if !ok {
			return false, corrupt(s.name, int64(block)*blockSize, "group %d is damaged", group)
		}
		block += g.blocks
		for r := range g.records() {
			if !yield(r, nil) {
				return false, nil
			}
		}
	}
	return true, nil
}

// records yields the records of a group that is well formed.
func (g found) records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		b := g.data[headerSize:]
		for index := g.index; index < g.next(); index++ {
			size := int(le.Uint32(b[1:]))
			end := recordHeader + size
			if !yield(Record{Index: index, Kind: b[0], Data: slices.Clip(b[recordHeader:end])}) {
				return
			}
			b = b[end:]
		}
	}
}
