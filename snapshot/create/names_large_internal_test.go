package create

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNamesOfALargeFile has many names of a file with many chunks, in the same directory and
// in others. What they have in common is set aside once, and is in the index once.
func TestNamesOfALargeFile(t *testing.T) {
	const chunks, names = 2000, 60
	dir := t.TempDir()
	path := func(i int) string { return filepath.Join(dir, fmt.Sprint(i%3), fmt.Sprintf("n%02d", i)) }
	for i := range 3 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(path(0))
	if err != nil {
		t.Fatal(err)
	}
	random, block := rand.NewChaCha8([32]byte{}), make([]byte, 4096)
	for i := range chunks {
		_, _ = random.Read(block)
		if _, err := f.WriteAt(block, int64(i)*8192); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < names; i++ {
		if err := os.Link(path(0), path(i)); err != nil {
			t.Fatal(err)
		}
	}
	opts := Options{Path: dir, Time: time.Unix(1, 0), Cache: filepath.Join(t.TempDir(), "cache")}
	opts.now = func() time.Time { return time.Now().Add(time.Hour) }
	var first Result
	for _, again := range []bool{false, true} {
		c := newCreator(void{}, opts)
		_, top, err := c.openTop()
		if err != nil {
			t.Fatal(err)
		}
		defer c.root.Close()
		defer c.spool.close()
		if c.cache, err = loadCache(t.Context(), opts.Cache, void{}); err != nil {
			t.Fatal(err)
		}
		defer c.cache.close()
		if c.writer, err = newCacheWriter(opts.Cache); err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), func(ctx context.Context) error { return c.walk(ctx, top) }); err != nil {
			t.Fatal(err)
		}
		res, err := c.finish(t.Context())
		if err == nil {
			err = c.writer.commit()
		}
		if err != nil || res.Chunks != chunks || res.Files != names || res.Partial() || res.Reused != map[bool]int64{false: 0, true: names}[again] {
			t.Errorf("%+v, %v", res, err)
		}
		if c.spool.size > 600<<10 { // 38 bytes a chunk in the content, 41 in the index, and a record each
			t.Errorf("%d bytes were set aside", c.spool.size)
		}
		if again && res.ID != first.ID {
			t.Errorf("%s with the cache, %s without", res.ID, first.ID)
		}
		first = res
	}
}
