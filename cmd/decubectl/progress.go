package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/decube/decube/api"
)

const (
	redrawEvery = 100 * time.Millisecond
	barWidth    = 24
	// shownPeers bounds the providers that get a line of their own.
	shownPeers = 8
)

// meter shows how far long work has come, in a few lines at the bottom of a
// terminal or, with --progress, as JSON for other programs. A nil meter shows nothing, so callers need not ask. It is safe for
// concurrent use.
//
// It is written by hand because the libraries for this spend 30 ms at the start of
// every command, progress or not, on tables of character widths.
type meter struct {
	out   io.Writer
	lines *json.Encoder // of what is written in place of the display, or nil
	label string
	begun time.Time
	stop  chan struct{}
	ended chan struct{}

	mu          sync.Mutex
	base        int64 // what was there when the work began
	done, total int64
	inBytes     bool
	note        string
	providers   []api.ProviderProgress
	drawn       int  // lines on the terminal
	changed     bool // since something was written
}

// meter returns a progress display, or nil when nobody would see it.
func (e *env) meter(label string) *meter {
	if !e.progress && (e.quiet || !onTerminal(e.stderr)) {
		return nil
	}
	m := &meter{out: e.stderr, label: label, begun: time.Now(), inBytes: true, stop: make(chan struct{}), ended: make(chan struct{})}
	if e.progress {
		m.lines = json.NewEncoder(e.stderr)
	}
	go m.run()
	return m
}

func (m *meter) run() {
	defer close(m.ended)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if m.lines != nil {
				m.tell(time.Now())
			} else {
				m.draw(time.Now())
			}
		case <-m.stop:
			m.erase()
			return
		}
	}
}

// close takes the display away.
func (m *meter) close() {
	if m == nil {
		return
	}
	close(m.stop)
	<-m.ended
}

// set updates the display; a total of 0 is unknown.
func (m *meter) set(done, total int64, note string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done == 0 {
		m.base = done
	}
	m.done, m.total, m.note, m.changed = done, total, note, true
}

// progressLine is how far work has come, as --progress writes it.
type progressLine struct {
	Work      string                 `json:"work"`
	Note      string                 `json:"note,omitempty"` // a phase, or something being worked on
	Done      int64                  `json:"done"`
	Total     int64                  `json:"total,omitempty"` // absent while unknown
	Unit      string                 `json:"unit"`            // of Done and Total: bytes or items
	Rate      float64                `json:"rate"`            // units a second, since the beginning
	Seconds   float64                `json:"seconds"`
	Providers []api.ProviderProgress `json:"providers,omitempty"`
}

// tell writes a line when something has changed.
func (m *meter) tell(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed {
		return
	}
	m.changed = false
	line := progressLine{Work: m.label, Note: m.note, Done: m.done, Total: m.total, Unit: "items", Seconds: now.Sub(m.begun).Seconds(), Providers: m.providers}
	if m.inBytes {
		line.Unit = "bytes"
	}
	line.Rate = float64(m.done-m.base) / max(line.Seconds, 0.001)
	_ = m.lines.Encode(line) // whoever read it went away
}

// work shows progress of work at the node.
func (m *meter) work(p api.Progress) {
	if m == nil {
		return
	}
	if p.Bytes > 0 {
		m.set(p.Bytes, p.TotalBytes, p.Phase)
		return
	}
	m.mu.Lock()
	m.inBytes = false
	m.mu.Unlock()
	m.set(p.Items, p.TotalItems, p.Phase)
}

// fetch shows progress of a fetch, with a line for each provider.
func (m *meter) fetch(p api.FetchProgress) {
	if m == nil {
		return
	}
	m.set(p.Bytes, p.TotalBytes, p.Phase)
	peers := slices.Clone(p.Providers)
	slices.SortFunc(peers, func(a, b api.ProviderProgress) int { return cmp.Compare(b.Bytes, a.Bytes) })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.providers = peers
}

// peers returns a line for each of the providers that gave most.
func (m *meter) peers() []string {
	var lines []string
	for _, peer := range m.providers[:min(len(m.providers), shownPeers)] {
		lines = append(lines, fmt.Sprintf("  %-13s %10s %12s  %s", shortPeer(peer.ID), size(peer.Bytes), size(int64(peer.Rate))+"/s", peer.State))
	}
	return lines
}

// draw writes the lines anew, over those before.
func (m *meter) draw(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := append([]string{m.line(now.Sub(m.begun))}, m.peers()...)
	width := terminalWidth(m.out)
	var b strings.Builder
	m.home(&b)
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(clip(line, width) + "\x1b[K")
	}
	if m.drawn > len(lines) {
		b.WriteString("\x1b[J")
	}
	m.drawn = len(lines)
	_, _ = io.WriteString(m.out, b.String()) // a terminal that went away needs no progress
}

// above has something written where the display is, which comes back below it.
func (m *meter) above(write func()) {
	if m == nil {
		write()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
	write()
}

// home moves the cursor to the first line that was drawn.
func (m *meter) home(b *strings.Builder) {
	b.WriteByte('\r')
	if m.drawn > 1 {
		fmt.Fprintf(b, "\x1b[%dA", m.drawn-1)
	}
}

func (m *meter) erase() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wipe()
}

// wipe does so while mu is held.
func (m *meter) wipe() {
	if m.drawn == 0 {
		return
	}
	var b strings.Builder
	m.home(&b)
	m.drawn = 0
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(m.out, b.String()) // as in draw
}

// line is the bar with amount, rate and time left.
func (m *meter) line(elapsed time.Duration) string {
	show := count
	if m.inBytes {
		show = size[int64]
	}
	parts := []string{m.label}
	if m.total > 0 {
		full := int(min(m.done, m.total) * barWidth / m.total)
		parts = append(parts, "["+strings.Repeat("=", full)+strings.Repeat(" ", barWidth-full)+"]", show(m.done)+" of "+show(m.total))
	} else {
		parts = append(parts, show(m.done))
	}
	perSecond := float64(m.done-m.base) / max(elapsed.Seconds(), 0.001)
	parts = append(parts, show(int64(perSecond))+"/s")
	if m.total > m.done && perSecond > 0 && elapsed > time.Second {
		left := time.Duration(float64(m.total-m.done) / perSecond * float64(time.Second))
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	return strings.Join(append(parts, m.note), "  ")
}

// terminalWidth returns the columns of a terminal, 80 where it does not tell.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// clip shortens a line to width characters, so that it never wraps, and takes out
// what would move the cursor.
func clip(line string, width int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, line))
	return string(runes[:min(len(runes), width-1)])
}

// shortPeer abbreviates a peer ID to what tells peers apart: its end.
func shortPeer(id string) string {
	const keep = 12
	return "…" + id[max(0, len(id)-keep):]
}
