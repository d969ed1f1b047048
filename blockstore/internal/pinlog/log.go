package pinlog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/decube/decube/internal/durable"
)

// Reserve is how much space is allocated behind the last change, in bytes: room
// for 256 of them when the disk has none.
const Reserve = 256 * page

// ErrReplace is returned by Append when the file must be replaced first: it cannot
// be known what it holds.
var ErrReplace = errors.New("the file must be replaced")

// Log is a file that changes are made to. Nothing but one Log may write it, and
// its methods must not be called concurrently.
type Log struct {
	fs   durable.FS
	name string

	file  durable.File // nil: ErrReplace
	nonce uint64
	seq   uint64
	base  int64 // end of the base
	end   int64 // of the last change
	size  int64 // of the file
}

// New returns a Log for a file that must be replaced before it can be appended to:
// one that does not exist, or is damaged, or of another format.
func New(fs durable.FS, name string) *Log { return &Log{fs: fs, name: name} }

// Continue returns a Log that appends to a file that was read without damage.
func Continue(fs durable.FS, name string, f Found) (*Log, error) {
	if f.Damage != nil {
		return nil, f.Damage
	}
	l := New(fs, name)
	file, err := fs.OpenWrite(name)
	if err != nil {
		return nil, err
	}
	l.file, l.nonce, l.seq, l.base, l.end, l.size = file, f.head.nonce, f.Sequence, max(f.head.end, page), f.end, f.size
	return l, nil
}

// Sequence returns the number of the last change.
func (l *Log) Sequence() uint64 { return l.seq }

// Appends reports whether changes can be appended.
func (l *Log) Appends() bool { return l.file != nil }

// Long reports whether the log has become longer than what it belongs to, so that
// replacing the file is worth its cost.
func (l *Log) Long() bool { return l.end-l.base > max(l.base, Reserve) }

// Append makes a change, durably. After an error other than ErrReplace it is not
// known whether the change was made, and the file must be replaced: a second sync
// after one that failed proves nothing.
func (l *Log) Append(c Change) error {
	if l.file == nil {
		return ErrReplace
	}
	if err := check(c); err != nil {
		return err
	}
	r := record{Change: c, seq: l.seq + 1, nonce: l.nonce, off: l.end}
	n := align(r.size(), page)
	if err := l.write(r.encode(nil), n); err != nil {
		return errors.Join(fmt.Errorf("append to %s: %w", l.name, err), l.Close())
	}
	l.seq = r.seq
	l.end += int64(n)
	l.size = max(l.size, l.end)
	return nil
}

// write puts data, and zeros up to n bytes, behind the last change, durably.
func (l *Log) write(data []byte, n int) (err error) {
	buf, err := buffers.Get()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, buffers.Put(buf)) }()
	clear(buf[copy(buf, data):n])
	if _, err := l.file.WriteAt(buf[:n], l.end); err != nil {
		return err
	}
	return l.file.Sync()
}

// buffers are large enough for any record. None is kept: changes are rare.
var buffers = durable.NewAlignedPool(align(recordHead+MaxKey+MaxValue, page), 0)

// Spare returns how many bytes of changes can be appended without free space on
// the disk.
func (l *Log) Spare() int64 { return l.size - l.end }

// Refill allocates the reserve anew when more than half of it is used. It does
// nothing where file systems cannot allocate.
func (l *Log) Refill() error {
	if l.file == nil || l.Spare() > Reserve/2 {
		return nil
	}
	if err := l.file.Allocate(l.end, Reserve); err != nil {
		return fmt.Errorf("reserve space in %s: %w", l.name, err)
	}
	size, err := l.file.Size()
	if err != nil {
		return err
	}
	l.size = max(size, l.end)
	if err := l.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("reserve space in %s: %w", l.name, err), l.Close())
	}
	return nil
}

// Replace writes the file anew, atomically and durably: all entries are its base,
// and seq, which must not be less than it was, is the number of the last change in
// it. After an error the file is the old or the new one, and must be replaced.
// What is lossy remains so until it is replaced by one that is not.
func (l *Log) Replace(owner string, seq uint64, lossy bool, all iter.Seq[Change]) error {
	if len(owner) > ownerSize {
		return fmt.Errorf("the owner's identity has %d bytes, the limit is %d", len(owner), ownerSize)
	}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	h := header{lossy: lossy, nonce: binary.LittleEndian.Uint64(nonce[:]), seq: seq, owner: owner}
	data := make([]byte, page)
	for c := range all {
		if err := check(c); err != nil {
			return err
		}
		data = record{Change: c, nonce: h.nonce, off: int64(len(data))}.encode(data)
		h.count++
	}
	data = append(data, make([]byte, align(len(data), page)-len(data))...)
	h.end = int64(len(data))
	copy(data, h.encode())
	if err := l.Close(); err != nil {
		return err
	}
	if err := l.fs.WriteFile(l.name, data, 0o600); err != nil {
		return err
	}
	file, err := l.fs.OpenWrite(l.name)
	if err != nil {
		return err
	}
	l.file, l.nonce, l.seq, l.base, l.end, l.size = file, h.nonce, seq, h.end, h.end, h.end
	return nil
}

// Close closes the file, which must then be replaced to be appended to.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func check(c Change) error {
	if len(c.Key) == 0 || len(c.Key) > MaxKey || len(c.Value) > MaxValue {
		return fmt.Errorf("a key of %d bytes with a value of %d, the limits are %d and %d", len(c.Key), len(c.Value), MaxKey, MaxValue)
	}
	return nil
}
