package fsys

import (
	"sync"

	"golang.org/x/sys/unix"
)

const direntBuffer = 64 << 10

// a pool of scratch buffers has no state to speak of
var direntBuffers = sync.Pool{New: func() any { b := make([]byte, direntBuffer); return &b }}

// Names returns the names in the directory, without "." and "..", in no order.
func (d *Dir) Names() ([]string, error) {
	p, ok := direntBuffers.Get().(*[]byte)
	if !ok {
		panic("fsys: the pool holds buffers only")
	}
	defer direntBuffers.Put(p)
	d.listing.Lock()
	defer d.listing.Unlock()
	if _, err := unix.Seek(d.fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	var names []string
	for {
		n, err := retryInt(func() (int, error) { return unix.ReadDirent(d.fd, *p) })
		if err != nil || n <= 0 {
			return names, err
		}
		for buf := (*p)[:n]; len(buf) > 0; {
			used, _, more := unix.ParseDirent(buf, -1, names)
			names, buf = more, buf[used:]
			if used == 0 {
				break
			}
		}
	}
}
