package create

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sort"
	"sync"

	"golang.org/x/sys/unix"
)

// spoolMemory is how many bytes a spool keeps in memory, in blocks of spoolBlock.
const (
	spoolMemory = 8 << 20
	spoolBlock  = 256 << 10
)

// spool keeps byte strings until they are needed again, at the latest until it is closed:
// in memory while they are few, and then in a file that has no name, so that nothing is
// left of it whatever happens. What one place has no room for goes to the next, and stays
// in memory where there is none left. It is safe for concurrent use.
type spool struct {
	mu     sync.Mutex
	places []string    // directories for further files
	blocks []spoolPart // in order, of which none but the last has room
	size   int64
	memory int        // of the blocks that are in memory, bytes
	files  []*os.File // the last is written to, unless it is full
	full   bool
}

// newSpool returns a spool whose file is made in dir, if that is not empty and it can be, or
// else where the system has its temporary files.
func newSpool(dir string) *spool {
	s := &spool{places: []string{os.TempDir()}, full: true}
	if dir != "" {
		s.places = []string{dir, os.TempDir()}
	}
	return s
}

// spoolPart is a run of bytes.
type spoolPart struct {
	start int64
	data  []byte   // nil for one that is in a file
	file  *os.File // where it is, at the same offset
}

// spooled says where a byte string is. The zero value is the empty string.
type spooled struct {
	at int64
	n  int32
}

// put keeps a copy of b, which has less than 2 GiB.
func (s *spool) put(b []byte) spooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.blocks) - 1
	if len(b) > spoolBlock {
		return s.putLarge(b)
	}
	if last < 0 || len(s.blocks[last].data)+len(b) > cap(s.blocks[last].data) {
		if last >= 0 && s.memory+spoolBlock > spoolMemory {
			s.write(&s.blocks[last])
		}
		s.blocks = append(s.blocks, spoolPart{start: s.size, data: make([]byte, 0, spoolBlock)})
		s.memory += spoolBlock
		last++
	}
	at := spooled{at: s.size, n: int32(len(b))}
	s.blocks[last].data = append(s.blocks[last].data, b...)
	s.size += int64(len(b))
	return at
}

// putLarge keeps what is larger than a block, in the file at once. The block before it ends
// there. mu is held.
func (s *spool) putLarge(b []byte) spooled {
	if last := len(s.blocks) - 1; last >= 0 {
		s.write(&s.blocks[last])
	}
	p := spoolPart{start: s.size, data: b}
	s.memory += cap(b)
	if s.write(&p); p.data != nil {
		s.memory -= cap(b)
		p.data = bytes.Clone(b)
		s.memory += cap(p.data)
	}
	s.blocks = append(s.blocks, p)
	s.size += int64(len(b))
	return spooled{at: p.start, n: int32(len(b))}
}

// write moves a full block into a file; where that does not work out anywhere it stays in
// memory, and so do those that follow. mu is held.
func (s *spool) write(p *spoolPart) {
	for p.data != nil {
		if s.full && !s.begin() {
			return
		}
		file := s.files[len(s.files)-1]
		if _, err := file.WriteAt(p.data, p.start); err != nil {
			s.full = true
			continue
		}
		s.memory -= cap(p.data)
		p.data, p.file = nil, file
	}
}

// begin makes a file in the next place that takes one. mu is held.
func (s *spool) begin() (made bool) {
	for len(s.places) > 0 {
		f, err := unnamed(s.places[0])
		s.places = s.places[1:]
		if err == nil {
			s.files, s.full = append(s.files, f), false
			return true
		}
	}
	return false
}

// unnamed makes a file in dir that has no name. Not all file systems can make one so; in
// others it has a name for a moment.
func unnamed(dir string) (*os.File, error) {
	if f, err := os.OpenFile(dir, os.O_RDWR|os.O_EXCL|unix.O_TMPFILE, 0o600); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(dir, "decube-spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// get returns a byte string, which is valid until the next call with the same buffer.
func (s *spool) get(at spooled, buf *[]byte) ([]byte, error) {
	n := int(at.n)
	if n == 0 {
		return nil, nil
	}
	s.mu.Lock()
	i := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].start > at.at }) - 1
	p := s.blocks[i]
	s.mu.Unlock()
	from := at.at - p.start
	if p.data != nil {
		return p.data[from : from+int64(n) : from+int64(n)], nil
	}
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	if _, err := p.file.ReadAt((*buf)[:n], at.at); err != nil {
		return nil, fmt.Errorf("read back what was set aside: %w", err)
	}
	return (*buf)[:n], nil
}

// close gives up everything.
func (s *spool) close() {
	for _, f := range s.files {
		_ = f.Close() // it has no name, and nobody needs what is in it
	}
}
