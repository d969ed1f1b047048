package pack

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
)

// BufferSize is the size of one direct write in bytes.
const BufferSize = 4 << 20

const (
	maxOpen   = 256 // files kept open for reading
	keepIdle  = 2   // buffers kept while nobody writes
	extension = ".pack"
)

var (
	// ErrGone is returned for a place in a pack that does not exist (any more).
	ErrGone = errors.New("no such pack")
	// ErrShort is returned for a place beyond the end of its pack.
	ErrShort = errors.New("the pack ends before the record")
)

// Loc is the place of a record.
type Loc struct {
	Pack uint32
	Off  int64  // of the record's header
	Len  uint32 // bytes of the block, without the header
}

// End returns the offset behind the record's last byte.
func (l Loc) End() int64 { return l.Off + RecordSize(int(l.Len)) }

// State is what the index remembers of a pack.
type State struct {
	End    int64 // everything committed lies below
	Sealed bool  // never to be appended to again
}

// Config says how a set writes. All fields but ReadOnly are required.
type Config struct {
	FS      durable.FS
	Dir     string
	MaxSize int64 // of a pack, in bytes
	// Room is asked before disk space is reserved for want more bytes, of which
	// at least need are required. It returns how many may be taken, or an error.
	Room func(need, want int64) (int64, error)
	Log  *slog.Logger
	// ReadOnly keeps the set from changing anything: no pack is appended to, and
	// what a crash has left behind one's last record stays.
	ReadOnly bool
	// Checksums makes new records carry a checksum of their bytes. Programs that
	// know version 1 of the records alone do not see such a record.
	Checksums bool
}

// Set is a directory of packs. It is safe for concurrent use.
type Set struct {
	cfg  Config
	pool *durable.AlignedPool

	mu    sync.Mutex
	packs map[uint32]*file
	idle  []*file // may be appended to, nobody does
	next  uint32
	open  int
	clock uint64
	data  atomic.Int64 // bytes in all packs that are not holes
	spare atomic.Int64 // bytes reserved behind the committed ends
}

// file is one pack. Fields are guarded by Set.mu unless noted.
type file struct {
	id        uint32
	name      string
	read      durable.File // nil while closed
	refs      int
	used      uint64 // for choosing what to close
	removed   bool
	appending bool
	sealed    bool
	end       atomic.Int64 // everything below is committed or abandoned
	size      int64        // of the file when the set was opened
	nonce     uint64       // known once appended to
	data      atomic.Int64 // bytes that are not holes
	lastRead  atomic.Int64 // where the last read ended
	ahead     atomic.Int64 // up to where was prefetched
}

// Open opens the packs of a directory, which must exist. states holds what the
// index remembers; packs that it does not know hold nothing acknowledged.
func Open(cfg Config, states map[uint32]State) (*Set, error) {
	if cfg.MaxSize > maxPack {
		return nil, fmt.Errorf("packs of %d bytes: the largest has %d", cfg.MaxSize, int64(maxPack))
	}
	s := &Set{cfg: cfg, pool: durable.NewAlignedPool(BufferSize, keepIdle), packs: map[uint32]*file{}, next: 1}
	names, err := cfg.FS.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the packs: %w", err)
	}
	for id := range states {
		s.next = max(s.next, id+1)
	}
	for _, name := range names {
		id, ok := parseName(name)
		if !ok {
			continue
		}
		st, known := states[id]
		if !known {
			st.Sealed = true
		}
		if err := s.add(id, st); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func parseName(name string) (uint32, bool) {
	var id uint32
	base, ok := strings.CutSuffix(name, extension)
	if !ok || len(base) != 8 {
		return 0, false
	}
	if n, err := fmt.Sscanf(base, "%08x", &id); n != 1 || err != nil || fileName(id) != name {
		return 0, false
	}
	return id, true
}

func fileName(id uint32) string { return fmt.Sprintf("%08x%s", id, extension) }

func (s *Set) newFile(id uint32) *file {
	return &file{id: id, name: filepath.Join(s.cfg.Dir, fileName(id))}
}

// add takes an existing file into the set, and cuts off what a crash left behind
// the last record.
func (s *Set) add(id uint32, st State) error {
	p := s.newFile(id)
	f, err := s.cfg.FS.OpenRead(p.name)
	if err != nil {
		return fmt.Errorf("open pack %d: %w", id, err)
	}
	p.read, p.sealed = f, st.Sealed
	s.packs[id], s.next, s.open = p, max(s.next, id+1), s.open+1
	if p.size, err = f.Size(); err != nil {
		return fmt.Errorf("open pack %d: %w", id, err)
	}
	p.end.Store(p.size)
	if !p.sealed {
		if err := s.recoverEnd(p, st.End); err != nil {
			return fmt.Errorf("recover pack %d: %w", id, err)
		}
	}
	data, err := f.DataBytes(0, p.size)
	if err != nil {
		return fmt.Errorf("open pack %d: %w", id, err)
	}
	p.data.Store(data)
	s.data.Add(data)
	s.closeSome()
	return nil
}

// recoverEnd finds the end of a pack that was open for appending. Records behind
// the remembered end were synced if the index refers to them, and then they
// follow each other without a gap larger than a page; so the first place without
// a header ends what may be needed. The rest, reserved space for the most part,
// is given back. A pack shorter than remembered is damaged and not appended to.
func (s *Set) recoverEnd(p *file, end int64) error {
	var nonce uint64
	head := make([]byte, HeaderSize)
	_, err := p.read.ReadAt(head, 0)
	if err == nil {
		nonce, err = decodePackHeader(head, p.id)
	}
	if err != nil || p.size < end {
		p.sealed = true
		s.cfg.Log.Warn("a pack is damaged and will not be appended to", "pack", p.name, "size", p.size, "expected", end, "error", err)
		return nil
	}
	p.nonce = nonce
	end = max(end, FirstRecord)
	for {
		h, ok := nextRecord(p.read, nonce, end)
		if !ok {
			break
		}
		end = alignUp(h.Off+RecordSize(int(h.Len)), smallAlign)
	}
	end = alignUp(end, durable.Align)
	if s.cfg.ReadOnly {
		p.sealed, p.size = true, min(p.size, end)
		p.end.Store(p.size)
		return nil
	}
	if end < p.size {
		if err := p.read.Truncate(end); err != nil {
			return err
		}
	}
	p.size = min(p.size, end)
	p.end.Store(p.size)
	if p.size < end || p.size > s.cfg.MaxSize-block.MaxSize {
		p.sealed = true
		return nil
	}
	s.idle = append(s.idle, p)
	return nil
}

// nextRecord looks for a header in the page that starts at or after off, where
// the next record must begin.
func nextRecord(f durable.File, nonce uint64, off int64) (Header, bool) {
	page := make([]byte, alignUp(off+1, durable.Align)+HeaderSize-off)
	n, err := f.ReadAt(page, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return Header{}, false
	}
	for at := 0; at+HeaderSize <= n; at += smallAlign {
		h, err := DecodeHeader(page[at:])
		if err == nil && h.Nonce == nonce && h.Off == off+int64(at) {
			return h, true
		}
	}
	return Header{}, false
}

// acquire returns a pack opened for reading, which release must be called for.
func (s *Set) acquire(id uint32) (*file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.packs[id]
	if p == nil {
		return nil, fmt.Errorf("%w: %s", ErrGone, fileName(id))
	}
	if p.read == nil {
		f, err := s.cfg.FS.OpenRead(p.name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrGone, err)
		}
		if err != nil {
			return nil, err
		}
		p.read = f
		s.open++
		s.closeSome()
	}
	s.clock++
	p.used = s.clock
	p.refs++
	return p, nil
}

func (s *Set) release(p *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.refs--
	if p.removed && p.refs == 0 {
		s.closeRead(p)
	}
}

// closeSome keeps the number of files open for reading within bounds.
func (s *Set) closeSome() {
	for s.open > maxOpen {
		var oldest *file
		for _, p := range s.packs {
			if p.read != nil && p.refs == 0 && (oldest == nil || p.used < oldest.used) {
				oldest = p
			}
		}
		if oldest == nil {
			return
		}
		s.closeRead(oldest)
	}
}

func (s *Set) closeRead(p *file) {
	if p.read == nil {
		return
	}
	if err := p.read.Close(); err != nil {
		s.cfg.Log.Warn("close a pack", "pack", p.name, "error", err)
	}
	p.read = nil
	s.open--
}

// Info describes a pack.
type Info struct {
	ID        uint32
	End       int64 // everything below is committed, abandoned or free
	Appending bool
	Sealed    bool
}

// List returns the packs in order of their numbers.
func (s *Set) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Info, 0, len(s.packs))
	for _, p := range s.packs {
		out = append(out, Info{ID: p.id, End: p.end.Load(), Appending: p.appending, Sealed: p.sealed})
	}
	slices.SortFunc(out, func(a, b Info) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Occupied returns the bytes that all packs occupy: what is not a hole, and what
// is reserved.
func (s *Set) Occupied() int64 { return s.data.Load() + s.spare.Load() }

// Trim gives idle memory back.
func (s *Set) Trim() error { return s.pool.Trim() }

// Close gives reserved space back and closes all files. Appenders must have been
// released, and no reader may be active.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.idle {
		errs = append(errs, s.trim(p))
	}
	for _, p := range s.packs {
		s.closeRead(p)
	}
	return errors.Join(append(errs, s.pool.Trim())...)
}

// trim cuts off what is reserved behind the committed end.
func (s *Set) trim(p *file) error {
	end := p.end.Load()
	if p.size <= end {
		return nil
	}
	f, err := s.cfg.FS.OpenWrite(p.name)
	if err != nil {
		return err
	}
	err = f.Truncate(end)
	if err == nil {
		s.spare.Add(end - p.size)
		p.size = end
	}
	return errors.Join(err, f.Close())
}
