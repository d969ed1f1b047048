package kernel

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream returns the source of chance of one part of a run. Streams of different
// names, or seeds, have nothing to do with one another.
func Stream(seed uint64, name string) *rand.Rand {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	sum := sha256.Sum256(append(b, name...))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}

// Between draws a time from low to high, both included; low if high is not above.
func Between(rnd *rand.Rand, low, high Time) Time {
	if high <= low {
		return low
	}
	return low + Time(rnd.Int64N(int64(high-low)+1))
}
