package snapshot

import (
	"context"
	"time"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/manifest"
)

type statCache struct{}
type cachedDir struct{}
type cachedFile struct {
	pieces []piece
	xattrs []manifest.Xattr
}
type cacheWriter struct{}

func loadCache(string) *statCache                            { return nil }
func (c *statCache) touch(context.Context, Sink) error       { return nil }
func (c *statCache) dir(string) *cachedDir                   { return nil }
func (d *cachedDir) file(*item) *cachedFile                  { return nil }
func newCacheWriter(string, time.Time) (*cacheWriter, error) { return nil, nil }
func (w *cacheWriter) discard()                              {}
func (w *cacheWriter) commit()                               {}
func (w *cacheWriter) add(*directory, block.ID) error        { return nil }
