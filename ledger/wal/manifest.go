package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/decube/decube/internal/durable"
)

const (
	manifestName  = "manifest"
	manifestMagic = "DECUBWAL"
	version       = 1
	manifestHead  = 52
)

// errManifest is the reason why bytes are not a manifest.
var errManifest = errors.New("not a manifest")

// manifest is what is known of a log as a whole.
type manifest struct {
	closed      bool
	log         logID
	segmentSize int64
	last        uint64
	segments    []uint32 // ascending
}

func (m manifest) encode() []byte {
	b := make([]byte, manifestHead, manifestHead+4*len(m.segments)+4)
	copy(b, manifestMagic)
	le.PutUint32(b[8:], version)
	if m.closed {
		b[12] = 1
	}
	copy(b[16:], m.log[:])
	le.PutUint64(b[32:], uint64(m.segmentSize))
	le.PutUint64(b[40:], m.last)
	le.PutUint32(b[48:], uint32(len(m.segments)))
	for _, s := range m.segments {
		b = le.AppendUint32(b, s)
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeManifest takes exactly what encode writes. It returns ErrVersion for
// another version.
func decodeManifest(b []byte) (manifest, error) {
	bad := func(why string) (manifest, error) { return manifest{}, fmt.Errorf("%w: %s", errManifest, why) }
	if len(b) < manifestHead+4 || string(b[:8]) != manifestMagic {
		return bad("no magic number")
	}
	body := len(b) - 4
	if v := le.Uint32(b[8:]); le.Uint32(b[body:]) != crc32.Checksum(b[:body], castagnoli) {
		return bad(fmt.Sprintf("wrong checksum, version %d", v))
	} else if v != version {
		return manifest{}, fmt.Errorf("%w: %d, this program knows %d", ErrVersion, v, version)
	}
	m := manifest{closed: b[12] == 1, last: le.Uint64(b[40:])}
	copy(m.log[:], b[16:])
	size, n := le.Uint64(b[32:]), le.Uint32(b[48:])
	switch {
	case b[12] > 1 || b[13] != 0 || b[14] != 0 || b[15] != 0:
		return bad("unknown flags")
	case size < blockSize || size > maxSegmentSize || size%blockSize != 0:
		return bad(fmt.Sprintf("segments of %d bytes", size))
	case n < 1 || n > maxSegments || body != manifestHead+4*int(n):
		return bad(fmt.Sprintf("%d segments in %d bytes", n, len(b)))
	}
	m.segmentSize = int64(size)
	for at := manifestHead; at < body; at += 4 {
		m.segments = append(m.segments, le.Uint32(b[at:]))
	}
	if !slices.IsSorted(m.segments) || len(slices.Compact(slices.Clone(m.segments))) != len(m.segments) {
		return bad("segments out of order")
	}
	return m, nil
}

// readManifest reads the manifest of a directory.
func readManifest(fsys durable.FS, name string) (manifest, error) {
	b, err := fsys.ReadFile(name)
	if err != nil {
		return manifest{}, err
	}
	m, err := decodeManifest(b)
	if errors.Is(err, errManifest) {
		return m, corrupt(name, 0, "%v", err)
	}
	return m, err
}
