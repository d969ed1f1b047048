package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// lineCounts counts what members log, by level.
type lineCounts struct {
	mu   sync.Mutex
	logs map[*member]*strings.Builder
}

func newLineCounts() *lineCounts { return &lineCounts{logs: map[*member]*strings.Builder{}} }

func (l *lineCounts) of(m *member) *slog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[m] = &strings.Builder{}
	return slog.New(slog.NewTextHandler(lineWriter{l, m}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lineWriter writes to a member's log.
type lineWriter struct {
	l *lineCounts
	m *member
}

func (w lineWriter) Write(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	return w.l.logs[w.m].Write(b)
}

// lines returns how many lines of a member's log contain some text, of this life.
func (l *lineCounts) lines(m *member, text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.logs[m].String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// contradictions are votes of one validator for different blocks at the same places.
func contradictions(network [32]byte, replica quorum.Replica, key sig.PrivateKey, above uint64, count int) [][]byte {
	var frames [][]byte
	for i := range count {
		v := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Seq: above + 1 + uint64(i)%8}, Replica: replica}
		binary.BigEndian.PutUint64(v.Digest[:], uint64(i)+1)
		v.State = v.Digest
		v.Sig = pbft.Signature(key.Sign(v.Statement(network)))
		frames = append(frames, messageFrame(v))
	}
	return frames
}

// One validator signs 20,000 votes that contradict each other. That convicts it, once;
// the others order on as fast as before, and their logs do not fill.
func TestContradictingVotesDelayNobody(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	logs := newLineCounts()
	s.log = logs.of
	liar := s.all[3]
	honest := s.all[:3]
	for _, m := range honest {
		m.start()
	}
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	replica, _ := s.genesis.Set().Replica(liar.key.Public())
	const votes = 20_000
	frames := contradictions(s.genesis.ID(), replica, liar.key, s.all[0].ledger.head().Header.Seq+2, votes)
	junk := append([]byte(nil), frames[0]...)
	junk[len(junk)-1]++
	var sending sync.WaitGroup
	for _, m := range honest {
		sending.Go(func() {
			for i, frame := range frames {
				m.ledger.Receive(liar.key.Public(), Votes, append([]byte(nil), frame...))
				if i%10 == 0 {
					m.ledger.Receive(liar.key.Public(), Votes, append([]byte(nil), junk...)) // with a wrong signature
				}
			}
		})
	}
	// Behind 20,000 votes that are looked at first, a commit took ten seconds and more.
	worst := time.Duration(0)
	const commits = 10
	var last Committed
	for i := range commits {
		began := time.Now()
		var err error
		if _, last, err = honest[i%3].put(ctx, fmt.Sprint("meanwhile", i)); err != nil {
			t.Fatalf("after %d commits, the longest of which took %v: %v", i, worst, err)
		}
		worst = max(worst, time.Since(began))
	}
	t.Logf("the longest of %d commits took %v", commits, worst)
	sending.Wait()
	s.agree(ctx, last.Block, honest...)
	for _, m := range honest {
		var all []pbft.Evidence
		s.until(ctx, "the evidence is stored", func() bool {
			var err error
			all, err = m.ledger.shell.Archive().Evidence()
			return err != nil || len(all) > 0
		})
		if len(all) != 1 || all[0].Guilty() != replica {
			t.Errorf("evidence %v, want one piece against %d", all, replica)
		}
		if convicted, dropped := logs.lines(m, "broken the protocol"), logs.lines(m, "invalid message"); convicted != 1 || dropped != 1 {
			t.Errorf("%d lines say that a validator is convicted, %d that its messages are invalid", convicted, dropped)
		}
		if n := logs.lines(m, ""); n > 40 {
			t.Errorf("%d lines are logged", n)
		}
	}
}
