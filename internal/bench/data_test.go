package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestRandomIsReproducible(t *testing.T) {
	sum := func(seed uint64) string {
		h := sha256.New()
		if _, err := io.CopyN(h, Random(seed), 1<<20); err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	// The bytes are part of every committed result: a change makes old runs incomparable.
	const want = "2e27517f37aa14ffdafad403d38ac66786b87107d650695f3b098605dbb40bcb"
	if got := sum(1); got != want {
		t.Errorf("seed 1 gives %s, want %s", got, want)
	}
	if sum(1) == sum(2) {
		t.Error("two seeds give the same bytes")
	}
}

func TestWriteRandom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	const size = 3<<20 + 17
	if err := WriteRandom(t.Context(), path, size, 9); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size)
	if _, err := io.ReadFull(Random(9), want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the file does not hold the seed's bytes")
	}
	if err := WriteRandom(t.Context(), path, 1, 9); err == nil {
		t.Error("an existing file was overwritten")
	}
}

func TestWarmCountsFiles(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"a": 0, "b": 10, "sub/c": 3 << 20} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Warm(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Tree{Files: 3, Bytes: 10 + 3<<20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := Chill(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestGoTree(t *testing.T) {
	root, err := GoTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "src", "fmt")); err != nil {
		t.Error(err)
	}
}
