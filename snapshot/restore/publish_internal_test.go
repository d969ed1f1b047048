package restore

import (
	"testing"

	"github.com/decube/decube/snapshot/manifest"
)

func TestPublisherBoundsItsBatches(t *testing.T) {
	small := &output{entry: &manifest.Entry{Size: 1}}
	large := &output{entry: &manifest.Entry{Size: publishBytes / 2}}
	var p publisher
	for i := range publishFiles - 1 {
		if full := p.add(unpublished{o: small}); full != nil {
			t.Fatalf("a batch of %d files at the %dth", len(full), i+1)
		}
	}
	if full := p.add(unpublished{o: small}); len(full) != publishFiles {
		t.Fatalf("the batch that is full has %d files", len(full))
	}
	if full := p.add(unpublished{o: large}); full != nil {
		t.Fatal("what was taken counts still")
	}
	if full := p.add(unpublished{o: large}); len(full) != 2 {
		t.Fatalf("the batch that has its bytes has %d files", len(full))
	}
	p.add(unpublished{o: small})
	if rest := p.rest(); len(rest) != 1 || p.rest() != nil {
		t.Fatalf("%d files were left", len(rest))
	}
}
