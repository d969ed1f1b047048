package ledger

import (
	"testing"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
)

// Questions that have ended leave nothing behind: a peer asks others for as long as it
// runs.
func TestQuestionsThatHaveEndedAreForgotten(t *testing.T) {
	l := &Ledger{inbox: newInbox(100)}
	o := newOutside(l, &Options{})
	for i := range 100 {
		o.Ask(driver.Ask{Ask: driver.AskID(i + 1), Source: "gone", Request: follow.Head{}})
	}
	o.close()
	if n := len(l.inbox.next(nil, 1000)); n != 100 || len(o.asks) != 0 {
		t.Errorf("%d of 100 have ended, %d are remembered", n, len(o.asks))
	}
}
