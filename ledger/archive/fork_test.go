package archive_test

import (
	"reflect"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
)

// The first fork stays, whatever is seen later and however often the archive is opened.
func TestForkIsKept(t *testing.T) {
	entries := reference(t, 4)
	other := *entries[3].Decision
	other.Header.Time++
	other.Cert = certificate(&other.Header, pbft.Commit)
	for name, fork := range map[string]*archive.Fork{
		"two at one place":   {First: entries[3].Decision, Second: &other, Guilty: []sig.PublicKey{{1}, {2}}},
		"the first is gone":  {Second: &other},
		"nobody is to blame": {First: entries[2].Decision, Second: &other},
	} {
		for medium, on := range media(t) {
			t.Run(name+"/"+medium, func(t *testing.T) {
				a := open(t, on)
				if f, err := a.Fork(); f != nil || err != nil {
					t.Fatalf("fork %v, %v, and none was seen", f, err)
				}
				if err := a.PutFork(fork); err != nil {
					t.Fatal(err)
				}
				closed(t, a)
				a = open(t, on)
				defer closed(t, a)
				if err := a.PutFork(&archive.Fork{Second: entries[1].Decision}); err != nil {
					t.Fatal(err)
				}
				if got, err := a.Fork(); err != nil || !reflect.DeepEqual(got, fork) {
					t.Errorf("fork %+v, %v, want %+v", got, err, fork)
				}
			})
		}
	}
}
