package cdc_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"

	"github.com/decube/decube/snapshot/cdc"
)

var allSizes = []cdc.Sizes{
	{Min: 256 << 10, Normal: 1 << 20, Max: 2<<20 - 4096}, // the snapshot format's
	{Min: 64, Normal: 4 << 10, Max: 256 << 10},
	{Min: 100, Normal: 128, Max: 129},
	{Min: 33 << 10, Normal: 64 << 10, Max: 65 << 10},
	{Min: 64, Normal: 1 << 20, Max: 4 << 20},
}

// libraryCuts returns the lengths of the chunks that the library's chunker makes.
func libraryCuts(tb testing.TB, s cdc.Sizes, data []byte) (lengths []int) {
	tb.Helper()
	c, err := chunkers.NewChunker("fastcdc-v1.0.0", bytes.NewReader(data), &chunkers.ChunkerOpts{MinSize: s.Min, NormalSize: s.Normal, MaxSize: s.Max})
	if err != nil {
		tb.Fatal(err)
	}
	for {
		chunk, err := c.Next()
		if len(chunk) > 0 {
			lengths = append(lengths, len(chunk))
		}
		if errors.Is(err, io.EOF) {
			return lengths
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func ourCuts(tb testing.TB, s cdc.Sizes, data []byte) (lengths []int) {
	tb.Helper()
	c, err := cdc.New(s)
	if err != nil {
		tb.Fatal(err)
	}
	for len(data) > 0 {
		n := c.Cut(data)
		if n <= 0 || n > len(data) {
			tb.Fatalf("a cut at %d of %d bytes", n, len(data))
		}
		lengths = append(lengths, n)
		data = data[n:]
	}
	return lengths
}

func random(seed byte, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // it never fails
	return data
}

func TestCutsAreTheLibrarys(t *testing.T) {
	mixed := random(1, 24<<20)
	clear(mixed[3<<20 : 9<<20])
	for i := range mixed[12<<20 : 16<<20] {
		mixed[12<<20+i] = byte(i / 7) // a pattern that comes again
	}
	for _, s := range allSizes {
		for name, data := range map[string][]byte{
			"random": random(2, 20<<20), "mixed": mixed, "zeros": make([]byte, 5<<20),
			"empty": nil, "one": {1}, "min": random(3, s.Min), "min and one": random(4, s.Min+1),
			"normal": random(5, s.Normal), "max": random(6, s.Max), "max and one": random(7, s.Max+1),
		} {
			got, want := ourCuts(t, s, data), libraryCuts(t, s, data)
			if !slices.Equal(got, want) {
				t.Errorf("%+v, %s: %d chunks, the library makes %d", s, name, len(got), len(want))
			}
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint16(300), uint8(1))
	f.Add(bytes.Repeat([]byte("decube"), 99), uint16(9), uint8(4))
	f.Fuzz(func(t *testing.T, pattern []byte, repeat uint16, which uint8) {
		if len(pattern) > 1<<12 {
			return
		}
		data := bytes.Repeat(pattern, int(repeat)%4096)
		data = append(data, random(which, 1<<16)...)
		s := allSizes[int(which)%len(allSizes)]
		if got, want := ourCuts(t, s, data), libraryCuts(t, s, data); !slices.Equal(got, want) {
			t.Fatalf("%+v: %v, the library cuts %v", s, got, want)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, s := range []cdc.Sizes{
		{},
		{Min: 63, Normal: 128, Max: 256},
		{Min: 128, Normal: 128, Max: 256},
		{Min: 64, Normal: 100, Max: 256},
		{Min: 64, Normal: 128, Max: 128},
		{Min: 64, Normal: 128, Max: 1<<30 + 1},
	} {
		if _, err := cdc.New(s); err == nil {
			t.Errorf("New(%+v) gave a cutter", s)
		}
	}
}

func BenchmarkCut(b *testing.B) {
	data := random(9, 64<<20)
	s := allSizes[0]
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			ourCuts(b, s, data)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			libraryCuts(b, s, data)
		}
	})
}
