package sim

import (
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
)

// timely checks that a committed block is not of a time to come: of the quorum that has
// voted for it somebody is honest and has a clock that is right, as long as no more clocks
// are wrong than nodes may be faulty (S12). Where clocks jump, none can be told to be right.
func (o *oracle) timely(h *pbft.Header) {
	w := o.w
	wrong := len(w.cfg.Wrong) + len(w.cfg.Faulty) + len(w.cfg.Twins)
	if w.cfg.Faults.Clocks > 0 || w.cfg.Faults.MaxSkew > 0 || wrong > faulty(w.cfg.Validators) {
		return
	}
	if right := w.wall(w.now()); h.Time > right+exec.Skew {
		o.broken("S12", "%v is committed, whose time is %d ms ahead", h, h.Time-right)
	}
}
