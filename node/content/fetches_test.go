package content

import (
	"testing"

	"github.com/decube/decube/block"
)

func TestWhoFetchesTogetherKeepsTogether(t *testing.T) {
	type request struct{ gets, pins bool }
	for _, tc := range []struct {
		name     string
		kept     bool
		requests []request // in the order in which they end
		forgets  bool
	}{
		{"one keeps", false, []request{{true, true}}, false},
		{"one does not", false, []request{{true, false}}, true},
		{"one does not what was kept before", true, []request{{true, false}}, false},
		{"one fails", false, []request{{false, true}}, false},
		{"the first keeps, the second does not", false, []request{{true, true}, {true, false}}, false},
		{"the second keeps, the first does not", false, []request{{true, false}, {true, true}}, false},
		{"who would keep fails", false, []request{{true, false}, {false, true}}, true},
		{"neither keeps", false, []request{{true, false}, {true, false}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f fetches
			root := block.New(block.DagCBOR, []byte(tc.name)).ID()
			asked, forgotten := 0, 0
			for range tc.requests {
				if err := f.enter(root, func() (bool, error) { asked++; return tc.kept, nil }); err != nil {
					t.Fatal(err)
				}
			}
			for i, r := range tc.requests {
				if forgotten > 0 {
					t.Errorf("forgotten before request %d ended", i)
				}
				if r.gets {
					f.got(root, r.pins)
				}
				if err := f.leave(root, func() error { forgotten++; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if asked != 1 || forgotten > 1 || (forgotten == 1) != tc.forgets || len(f.roots) > 0 {
				t.Errorf("asked %d times, forgotten %d times, %d left", asked, forgotten, len(f.roots))
			}
		})
	}
}
