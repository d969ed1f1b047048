package exchange

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"
)

// Whatever happens, the bounds hold, nobody has two sessions, liars are left alone, and no
// probe or place is free while somebody could have it.
func TestTableModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := DefaultLimits()
		l.Probes = rapid.IntRange(1, 6).Draw(t, "probes")
		l.Peers = rapid.IntRange(1, 4).Draw(t, "places")
		m := &tableModel{t: t, table: newTable(l, newConduct()), now: time.Unix(1e9, 0), sessions: map[*member]bool{}}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			m.step()
		}
	})
}

type tableModel struct {
	t        *rapid.T
	table    *table
	now      time.Time
	sessions map[*member]bool // whether it was told to end
	order    []*member
}

func (m *tableModel) step() {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(m.t, "ms")) * time.Millisecond)
	event := rapid.IntRange(0, 9).Draw(m.t, "event")
	if event < 3 || len(m.order) == 0 {
		n := rapid.IntRange(0, 30).Draw(m.t, "peer")
		m.table.offer(peer.AddrInfo{ID: peer.ID(fmt.Sprint(n))}, at(11, 0, n%5, n), rank(n%3), m.now)
	} else {
		i := rapid.IntRange(0, len(m.order)-1).Draw(m.t, "session")
		m.happen(event, m.order[i])
	}
	m.table.look(m.now)
	m.decide()
}

// happen is what happens to a session.
func (m *tableModel) happen(event int, of *member) {
	ways := map[outcome]error{
		over: nil, lacked: codeNoRoot, failed: errNobody, refused: codeBusy, stuck: errStalled, lied: hostile("lie"),
	}
	switch {
	case m.sessions[of]:
		m.leave(of, outcomeOf(m.t.Context(), of.cause), of.cause)
	case of.phase == dialling:
		m.table.located(of, at(11, 0, rapid.IntRange(0, 6).Draw(m.t, "prefix"), 1), m.now)
	case event < 5 && (of.phase == asking || of.standing != holding):
		if !m.table.admit(of, m.now) {
			m.leave(of, held, errHeld)
		}
	case event < 7 && of.phase == placed:
		of.sent.Add(int64(rapid.IntRange(0, 1<<20).Draw(m.t, "bytes")))
		if rapid.Bool().Draw(m.t, "a block") {
			m.table.credit(of, 1, m.now)
		}
	case event == 7:
		of.owes.Store(rapid.Bool().Draw(m.t, "owes"))
	default:
		how := rapid.SampledFrom([]outcome{over, lacked, failed, refused, stuck, lied}).Draw(m.t, "end")
		m.leave(of, how, ways[how])
	}
}

func (m *tableModel) leave(of *member, how outcome, err error) {
	if how == lied || how == stuck {
		m.table.ban(of, how, err, m.now)
	}
	m.table.leave(of, how, err, m.now)
	delete(m.sessions, of)
	for i, o := range m.order {
		if o == of {
			m.order = append(m.order[:i], m.order[i+1:]...)
			break
		}
	}
}

// decide carries out what is decided, and checks it.
func (m *tableModel) decide() {
	todo := m.table.decide(m.now)
	for _, of := range todo.begin {
		if _, has := m.sessions[of]; has {
			m.t.Fatalf("%s begins a second session", of.info.ID)
		}
		if of.lied && m.now.Before(of.shunned) {
			m.t.Fatalf("%s is asked, who lied", of.info.ID)
		}
		m.sessions[of] = false
		m.order = append(m.order, of)
	}
	for _, e := range todo.end {
		if told, has := m.sessions[e.m]; !has || told {
			m.t.Fatalf("%s is to end: has a session %v, was told %v", e.m.info.ID, has, told)
		}
		m.sessions[e.m] = true
	}
	u := m.table.use()
	if u.probing+u.placed != len(m.sessions) || u.probing > m.table.limits.Probes || u.placed > m.table.limits.Peers {
		m.t.Fatalf("%d probes and %d places of %d sessions", u.probing, u.placed, len(m.sessions))
	}
	if u.ready > 0 && u.placed < m.table.limits.Peers {
		m.t.Fatalf("%d wait for a place, %d are taken", u.ready, u.placed)
	}
	if next := m.table.candidate(&u, m.now); next != nil && u.probing < m.table.limits.Probes {
		m.t.Fatalf("%s waits for a probe, %d are taken", next.info.ID, u.probing)
	}
}
