package content_test

import (
	"testing"

	"github.com/decube/decube/node/content"
	"github.com/decube/decube/node/host"
)

// Blocks are sent a little slower than everything together may be.
func TestUploadRateWithinBandwidth(t *testing.T) {
	for _, tc := range []struct{ rate, upload, want int64 }{
		{0, 0, 0},
		{5 << 20, 0, 5 << 20},
		{0, 16 << 20, 15 << 20},
		{5 << 20, 16 << 20, 5 << 20},
		{16 << 20, 16 << 20, 15 << 20},
		{0, 16 << 10, 64 << 10},
	} {
		cfg := content.Default()
		cfg.UploadRate = tc.rate
		got := cfg.Within(host.Bandwidth{Upload: tc.upload, DownloadStrangers: 1 << 20})
		if got.UploadRate != tc.want {
			t.Errorf("%d of %d: %d", tc.rate, tc.upload, got.UploadRate)
		}
		if err := got.Validate(); err != nil {
			t.Error(err)
		}
	}
}
