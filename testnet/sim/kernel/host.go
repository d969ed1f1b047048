package kernel

// Host is a machine that runs a program. What the program has put off happens only
// while it runs: not after a crash, and after a pause instead of in it.
type Host struct {
	scheduler *Scheduler
	up        bool
	paused    bool
	life      int // counts starts: what was put off in one life does not happen in the next
	held      []func()
}

// NewHost returns a machine that is down.
func NewHost(s *Scheduler) *Host { return &Host{scheduler: s} }

// Up reports whether the program runs, paused or not.
func (h *Host) Up() bool { return h.up }

// Paused reports whether the machine is paused.
func (h *Host) Paused() bool { return h.paused }

// Start has the program run, from its beginning. A pause goes on.
func (h *Host) Start() {
	h.up = true
	h.life++
}

// Stop ends the program. Whatever it had put off will not happen.
func (h *Host) Stop() {
	h.up = false
	h.held = nil
}

// Pause holds up everything that the program has put off, as a debugger, a swapping
// machine or a suspended one does.
func (h *Host) Pause() { h.paused = true }

// Resume ends a pause: what it has held up happens at once, in order.
func (h *Host) Resume() {
	h.paused = false
	held := h.held
	h.held = nil
	for _, do := range held {
		do()
	}
}

// After does something when a time has passed, unless the program has stopped by then
// or does not run at all.
func (h *Host) After(d Time, do func()) {
	life := h.life
	h.scheduler.After(d, func() { h.run(life, do) })
}

// Run does something now, or after the pause. It does nothing while the program does
// not run.
func (h *Host) Run(do func()) { h.run(h.life, do) }

func (h *Host) run(life int, do func()) {
	switch {
	case !h.up || h.life != life:
	case h.paused:
		// What is held is asked again when it is let go: the program may stop, or be
		// paused anew, by what goes before it.
		h.held = append(h.held, func() { h.run(life, do) })
	default:
		do()
	}
}
