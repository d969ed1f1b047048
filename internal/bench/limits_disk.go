package bench

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// directWrite writes p.bytes in aligned blocks to a preallocated file past the
// page cache and syncs it. With hashed every block is hashed first, on another
// core: hashing and writing overlap, as they do in a store that is well made.
func (p *probe) directWrite(hashed bool) (perGiB float64, err error) {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	started := time.Now()
	f, direct, err := openDirect(p.path, p.bytes)
	if err != nil {
		return 0, err
	}
	p.direct = direct
	if hashed {
		err = p.writeHashed(f)
	} else {
		err = p.writeAll(f)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	return p.perGiB(time.Since(started)), nil
}

func (p *probe) writeAll(w io.Writer) error {
	for b := range p.blocks {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// writeHashed is writeAll behind a stage that hashes.
func (p *probe) writeHashed(w io.Writer) error {
	const ahead = 4 // blocks hashed and not yet written
	hashed := make(chan []byte, ahead)
	stop := make(chan struct{})
	go func() {
		defer close(hashed)
		var sum [sha256.Size]byte
		for b := range p.blocks {
			sum = sha256.Sum256(b)
			select {
			case hashed <- b:
			case <-stop:
				return
			}
		}
		_ = sum
	}()
	var err error
	for b := range hashed {
		if _, err = w.Write(b); err != nil {
			close(stop)
			break
		}
	}
	for range hashed { // the stage has ended when this has
		continue
	}
	return err
}

func (p *probe) bufferedWrite() (perGiB float64, err error) {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	started := time.Now()
	f, err := os.Create(p.path)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(p.writeAll(f), f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	return p.perGiB(time.Since(started)), nil
}

// read reads the scratch file, which a write before has left there: from the
// disk when cold, else from the page cache that the read before has filled.
func (p *probe) read(cold bool) (perGiB float64, err error) {
	f, err := os.Open(p.path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if cold {
		if err := dropCache(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return 0, err
		}
	}
	started := time.Now()
	buf := make([]byte, mib)
	var n int64
	for {
		m, err := f.Read(buf)
		n += int64(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if n != p.bytes {
		return 0, fmt.Errorf("%s has %d bytes, %d were written", p.path, n, p.bytes)
	}
	return p.perGiB(time.Since(started)), nil
}

// syncWrites counts 4 KiB writes, each durable before the next, over a file that
// has its blocks: what a log that is synced per record can do.
func (p *probe) syncWrites() (perSecond float64, err error) {
	const (
		size  = 4 << 10
		count = 512
	)
	if err := p.layOut(size * count); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(p.path, os.O_WRONLY|syncFlag, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	started := time.Now()
	for i := range count {
		if _, err := f.WriteAt(p.source[i*size:(i+1)*size], int64(i*size)); err != nil {
			return 0, err
		}
	}
	return count / time.Since(started).Seconds(), nil
}

// layOut makes the scratch file anew with n bytes that are on the disk and not in the page
// cache. Were they there, it would be in one large page, and the kernel would count the whole
// page for each small write into it.
func (p *probe) layOut(n int64) error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, _, err := openDirect(p.path, n)
	if err != nil {
		return err
	}
	_, err = f.Write(p.source[:n])
	return errors.Join(err, f.Sync(), f.Close())
}
