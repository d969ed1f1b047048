package pack

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
)

const (
	// buffersPerAppender bounds an appender's memory: one buffer is being
	// filled, the others are on their way to the disk.
	buffersPerAppender = 4
	// Space is reserved in steps that double, so that a small store stays small
	// and a large one asks rarely.
	firstStep = 4 << 20
	lastStep  = 256 << 20
	// keepReserved is how much reserved space an idle pack may keep.
	keepReserved = 8 << 20
)

// ErrFull is returned by Append when the pack has reached its size.
var ErrFull = errors.New("the pack is full")

// Appender is the exclusive right to append to one pack. Records are copied into
// aligned buffers, which a goroutine writes while the next is being filled.
// After any error but ErrFull, one of the context, or one of Config.Room, the
// appender is broken and can only be released. It is not safe for concurrent
// use, except that Sync may run beside Append.
type Appender struct {
	set *Set
	p   *file
	f   durable.File

	buf      []byte
	base     int64 // offset in the file of buf[0]
	fill     int
	pos      int64 // offset behind the last byte appended
	reserved int64 // disk space is reserved up to here
	step     int64

	tokens chan struct{} // one for each buffer that may be taken
	jobs   chan job
	done   chan struct{} // closed when the goroutine has ended
}

// job is a buffer to write, or with synced a request to sync.
type job struct {
	buf    []byte
	n      int
	off    int64
	synced chan<- error
}

// Lease returns an appender for a pack that has room, a new one if need be.
func (s *Set) Lease() (*Appender, error) {
	p := s.takeIdle()
	var f durable.File
	var err error
	if p != nil {
		f, err = s.cfg.FS.OpenWrite(p.name)
	} else {
		p, f, err = s.create()
	}
	if err != nil {
		if p != nil {
			s.giveBack(p, true)
		}
		return nil, err
	}
	a := &Appender{
		set: s, p: p, f: f, pos: p.end.Load(), reserved: p.size, step: firstStep,
		tokens: make(chan struct{}, buffersPerAppender),
		jobs:   make(chan job, buffersPerAppender+1),
		done:   make(chan struct{}),
	}
	for range buffersPerAppender {
		a.tokens <- struct{}{}
	}
	go a.write()
	return a, nil
}

func (s *Set) takeIdle() *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	p := s.idle[n-1]
	s.idle = s.idle[:n-1]
	p.appending = true
	return p
}

func (s *Set) giveBack(p *file, sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.appending = false
	if sealed {
		p.sealed = true
		return
	}
	s.idle = append(s.idle, p)
}

// create makes the file of a new pack; its name is durable when it returns.
func (s *Set) create() (*file, durable.File, error) {
	s.mu.Lock()
	p := s.newFile(s.next)
	s.next++
	s.mu.Unlock()
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	p.nonce, p.appending = binary.LittleEndian.Uint64(nonce[:]), true
	f, err := s.cfg.FS.Create(p.name, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("make a pack: %w", err)
	}
	s.mu.Lock()
	s.packs[p.id] = p
	s.mu.Unlock()
	if err := s.cfg.FS.SyncDir(s.cfg.Dir); err != nil {
		return p, nil, errors.Join(fmt.Errorf("make a pack: %w", err), f.Close())
	}
	return p, f, nil
}

// write is the second stage: it writes buffers in order and keeps the first
// error for the next sync.
func (a *Appender) write() {
	defer close(a.done)
	var failed error
	for j := range a.jobs {
		if failed == nil && j.n > 0 {
			if _, err := a.f.WriteAt(j.buf[:j.n], j.off); err != nil {
				failed = fmt.Errorf("write %d bytes at %d: %w", j.n, j.off, err)
			}
		}
		if j.buf != nil {
			if err := a.set.pool.Put(j.buf); err != nil {
				failed = errors.Join(failed, err)
			}
			a.tokens <- struct{}{}
		}
		if j.synced == nil {
			continue
		}
		if failed == nil {
			failed = a.f.Sync()
		}
		j.synced <- failed
	}
}

// Pack returns the number of the pack.
func (a *Appender) Pack() uint32 { return a.p.id }

// Append copies a block behind the last one. It may wait for a buffer, until
// ctx ends. The block is durable after the next Cut and Sync.
func (a *Appender) Append(ctx context.Context, b block.Block) (Loc, error) {
	pos := max(a.pos, FirstRecord)
	start := placeRecord(pos, b.Len())
	end := start + RecordSize(b.Len())
	if alignUp(end, durable.Align) > a.set.cfg.MaxSize {
		return Loc{}, ErrFull
	}
	if err := a.reserve(alignUp(end, durable.Align)); err != nil {
		return Loc{}, err
	}
	spare, err := a.prepare(ctx, end)
	if err != nil {
		return Loc{}, err
	}
	if a.pos == 0 {
		a.put(appendPackHeader(nil, a.p.id, a.p.nonce), &spare)
	}
	clear(a.buf[a.fill : start-a.base])
	a.fill = int(start - a.base)
	id := b.ID()
	h := Header{Codec: id.Codec(), Len: uint32(b.Len()), Digest: id.Digest(), Nonce: a.p.nonce, Off: start}
	if a.set.cfg.Checksums {
		// Of the bytes that were verified, not of the copy: what goes wrong while
		// copying is found as well. The copying below has them in the cache.
		h.Summed, h.Sum = true, Sum(b.Data())
	}
	var head [HeaderSize]byte
	a.put(h.Append(head[:0]), &spare)
	a.put(b.Data(), &spare)
	a.pos = end
	return Loc{Pack: a.p.id, Off: start, Len: h.Len}, nil
}

// prepare takes the buffers that are needed to append up to end, so that the
// copying itself cannot fail halfway: the current one and, if that does not
// suffice, a spare. A record fits into one buffer, so it touches two at most.
func (a *Appender) prepare(ctx context.Context, end int64) (spare []byte, err error) {
	if a.buf == nil {
		if a.buf, err = a.takeBuffer(ctx); err != nil {
			return nil, err
		}
		a.base, a.fill = a.pos, 0 // the last cut ended on a page
	}
	if end-a.base <= BufferSize {
		return nil, nil
	}
	return a.takeBuffer(ctx)
}

func (a *Appender) takeBuffer(ctx context.Context) ([]byte, error) {
	select {
	case <-a.tokens:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b, err := a.set.pool.Get()
	if err != nil {
		a.tokens <- struct{}{}
	}
	return b, err
}

// put copies data into the current buffer and, when that is full, the spare one.
func (a *Appender) put(data []byte, spare *[]byte) {
	for len(data) > 0 {
		if a.fill == BufferSize {
			a.submit(BufferSize)
			a.buf, *spare = *spare, nil
		}
		n := copy(a.buf[a.fill:], data)
		a.fill += n
		data = data[n:]
	}
	if a.fill == BufferSize && *spare != nil {
		a.submit(BufferSize)
		a.buf, *spare = *spare, nil
	}
}

// submit hands the current buffer to the second stage. It never blocks: there
// are no more buffers than the queue has places.
func (a *Appender) submit(n int) {
	a.jobs <- job{buf: a.buf, n: n, off: a.base}
	a.base += int64(n)
	a.buf, a.fill = nil, 0
}

// reserve makes sure that there is disk space up to end.
func (a *Appender) reserve(end int64) error {
	if end <= a.reserved {
		return nil
	}
	need := end - a.reserved
	want := min(max(need, a.step), a.set.cfg.MaxSize-a.reserved)
	n, err := a.set.cfg.Room(need, want)
	if err != nil {
		return err
	}
	err = a.f.Allocate(a.reserved, n)
	if err != nil && n > need {
		n = need // the disk is nearly full: take only what is needed
		err = a.f.Allocate(a.reserved, n)
	}
	if err != nil {
		return fmt.Errorf("reserve %d bytes: %w", n, err)
	}
	a.reserved += n
	a.set.spare.Add(n)
	a.step = min(2*a.step, lastStep)
	return nil
}

// Cut ends a commit: what was appended so far is padded to a page and sent on
// its way. It returns the offset behind it.
func (a *Appender) Cut() int64 {
	end := alignUp(a.pos, durable.Align)
	if a.buf != nil {
		clear(a.buf[a.fill : end-a.base])
		a.submit(int(end - a.base))
	}
	a.pos = end
	return end
}

// Sync waits until everything that was cut is written, and makes it durable.
func (a *Appender) Sync() error {
	synced := make(chan error, 1)
	a.jobs <- job{synced: synced}
	if err := <-synced; err != nil {
		return fmt.Errorf("pack %s: %w", a.p.name, err)
	}
	return nil
}

// Committed tells the set that the index refers to everything needed below end.
func (a *Appender) Committed(end int64) {
	grown := end - a.p.end.Load()
	a.p.end.Store(end)
	a.p.data.Add(grown)
	a.set.data.Add(grown)
	a.set.spare.Add(-grown)
}

// Release ends the lease. What was not cut and synced is lost. With seal the
// pack is never appended to again, and gives back all space that it reserved.
func (a *Appender) Release(seal bool) error {
	if a.buf != nil {
		a.jobs <- job{buf: a.buf}
		a.buf = nil
	}
	close(a.jobs)
	<-a.done
	end := a.p.end.Load()
	var err error
	// Bytes behind the committed end may be on the disk; cutting them off keeps
	// the rule that no place is written twice.
	dirty := a.pos > end
	if size := a.reserved; size > end && (seal || dirty || size-end > keepReserved) {
		if err = a.f.Truncate(end); err == nil {
			a.set.spare.Add(end - size)
			a.reserved = end
		}
	}
	a.p.size = a.reserved
	a.set.giveBack(a.p, seal || err != nil)
	return errors.Join(err, a.f.Close())
}
