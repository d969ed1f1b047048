package blockstore_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		writeUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// testConfig is small, so that packs fill up and several commits happen.
func testConfig() blockstore.Config {
	cfg := blockstore.Default()
	cfg.PackSize = 16 << 20
	cfg.FlushEvery = 8 << 20
	cfg.MinFree = 64 << 20
	return cfg
}

func open(t *testing.T, dir string) *blockstore.Store {
	t.Helper()
	s, err := blockstore.Open(dir, testConfig(), blockstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store[*blockstore.Writer] {
		t.Helper()
		return open(t, t.TempDir())
	})
}
