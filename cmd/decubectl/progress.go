package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/decube/decube/api"
)

// meter shows how far long work has come, on a terminal only. A nil meter shows
// nothing, so callers need not ask. It is safe for concurrent use.
type meter struct {
	bars *mpb.Progress
	bar  *mpb.Bar

	mu    sync.Mutex
	begun time.Time
	base  int64 // bytes that were there when the work began
	done  int64
	total int64
	note  string
	peers map[string]*peerLine
}

// peerLine is the line of one provider below the bar.
type peerLine struct {
	bar  *mpb.Bar
	text string
}

// shownPeers bounds the providers that get a line of their own.
const shownPeers = 8

// meter returns a progress display, or nil when nobody would see it.
func (a *app) meter(label string) *meter {
	if a.quiet || !onTerminal(a.stderr) {
		return nil
	}
	m := &meter{begun: time.Now(), peers: map[string]*peerLine{}}
	m.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(60), mpb.WithAutoRefresh())
	m.bar = m.bars.New(0, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return m.text() })))
	return m
}

// set updates the display; a total of 0 is unknown.
func (m *meter) set(done, total int64, note string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	if m.done == 0 {
		m.base = done
	}
	m.done, m.total, m.note = done, total, note
	m.mu.Unlock()
	m.bar.SetTotal(max(total, done+1), false)
	m.bar.SetCurrent(done)
}

// work shows progress of work at the node.
func (m *meter) work(p api.Progress) {
	if m == nil {
		return
	}
	if p.TotalBytes > 0 || p.Bytes > 0 {
		m.set(p.Bytes, p.TotalBytes, p.Phase)
		return
	}
	m.set(p.Items, p.TotalItems, p.Phase+" "+count(p.Items))
}

// fetch shows progress of a fetch, with a line for each provider.
func (m *meter) fetch(p api.FetchProgress) {
	if m == nil {
		return
	}
	m.set(p.Bytes, p.TotalBytes, p.Phase)
	peers := slices.Clone(p.Providers)
	slices.SortFunc(peers, func(a, b api.ProviderProgress) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for _, peer := range peers[:min(len(peers), shownPeers)] {
		line := m.line(peer.ID)
		m.mu.Lock()
		line.text = strings.TrimSpace(fmt.Sprintf("%10s  %12s  %s", size(peer.Bytes), size(int64(peer.Rate))+"/s", peer.State))
		m.mu.Unlock()
	}
}

func (m *meter) line(id string) *peerLine {
	m.mu.Lock()
	defer m.mu.Unlock()
	if line, ok := m.peers[id]; ok {
		return line
	}
	line := new(peerLine)
	line.bar = m.bars.New(1, mpb.NopStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("  "+shortPeer(id), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			m.mu.Lock()
			defer m.mu.Unlock()
			return line.text
		})))
	m.peers[id] = line
	return line
}

// text is what stands beside the bar: amount, rate and time left.
func (m *meter) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	elapsed := time.Since(m.begun).Seconds()
	perSecond := float64(m.done-m.base) / max(elapsed, 0.001)
	parts := []string{size(m.done)}
	if m.total > 0 {
		parts[0] += " of " + size(m.total)
	}
	parts = append(parts, size(int64(perSecond))+"/s")
	if m.total > m.done && perSecond > 0 && elapsed > 1 {
		left := time.Duration(float64(m.total-m.done) / perSecond * float64(time.Second))
		parts = append(parts, left.Round(time.Second).String()+" left")
	}
	if m.note != "" {
		parts = append(parts, m.note)
	}
	return strings.Join(parts, "  ")
}

// close takes the display away and waits until it is gone.
func (m *meter) close() {
	if m == nil {
		return
	}
	for _, line := range m.peers {
		line.bar.Abort(true)
	}
	m.bar.Abort(true)
	m.bars.Wait()
}

// shortPeer abbreviates a peer ID to what tells peers apart: its end.
func shortPeer(id string) string {
	const keep = 12
	if len(id) <= keep {
		return id
	}
	return "…" + id[len(id)-keep:]
}
