package blocksession

import (
	"net"
	"runtime"
	"sync"

	"github.com/decube/decube/block"
)

// Limits bound what one session may hold on either side. The zero value of a
// field means the default.
type Limits struct {
	// PutBytes are read from the client and not yet taken by the store. Default
	// 16 MiB.
	PutBytes int64
	// Verifiers hash PUTs at the same time. Default the number of processors, at
	// most 8.
	Verifiers int
	// Readers answer GET and HEAL at the same time, each with a buffer of 2 MiB.
	// Default 8.
	Readers int
	// Queued GETs and HEALs wait for a reader. Default 256.
	Queued int
	// Window is what the client holds of blocks that were added and are not sent:
	// those it has asked about, and those it is about to send. Default 16 MiB.
	Window int64
}

func (l Limits) withDefaults() Limits {
	orInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	orInt(&l.Verifiers, min(runtime.GOMAXPROCS(0), 8))
	orInt(&l.Readers, 8)
	orInt(&l.Queued, 256)
	if l.PutBytes < 2*block.MaxSize {
		l.PutBytes = 16 << 20
	}
	if l.Window < 2*block.MaxSize {
		l.Window = 16 << 20
	}
	return l
}

// socketBuffer is asked of the kernel for either direction. It decouples the two
// ends by a few blocks; more only costs cache misses.
const socketBuffer = 2 << 20

// tune enlarges a connection's socket buffers where it has any. That the kernel
// grants less is no error.
func tune(conn net.Conn) {
	if c, ok := conn.(interface {
		SetReadBuffer(bytes int) error
		SetWriteBuffer(bytes int) error
	}); ok {
		_ = c.SetReadBuffer(socketBuffer)
		_ = c.SetWriteBuffer(socketBuffer)
	}
}

// smallBuffer is the size below which payloads have a pool of their own, so that
// a manifest node of some hundred bytes does not occupy 2 MiB.
const smallBuffer = 64 << 10

var (
	smallPool = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largePool = sync.Pool{New: func() any { return new([block.MaxSize]byte) }}
)

// getBuffer returns a slice of n bytes, at most block.MaxSize, and the function
// that gives it back.
func getBuffer(n int) (buf []byte, put func()) {
	// The pools hold nothing else, so the assertions cannot fail.
	if n <= smallBuffer {
		b, _ := smallPool.Get().(*[smallBuffer]byte)
		return b[:n], func() { smallPool.Put(b) }
	}
	b, _ := largePool.Get().(*[block.MaxSize]byte)
	return b[:n], func() { largePool.Put(b) }
}
