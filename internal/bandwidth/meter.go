package bandwidth

import (
	"sync"
	"time"
)

// rateSeconds is over how many seconds a rate is taken.
const rateSeconds = 3

// meter counts bytes. It is safe for concurrent use.
type meter struct {
	mu     sync.Mutex
	total  int64
	second int64                  // the present one
	slots  [rateSeconds + 1]int64 // of the present second and those before it, by second
}

func (m *meter) add(now time.Time, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now.Unix())
	m.total += int64(n)
	m.slots[m.second%int64(len(m.slots))] += int64(n)
}

// read returns the bytes of all time, and how many a second there were in the last whole
// seconds.
func (m *meter) read(now time.Time) (total int64, rate float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(now.Unix())
	var sum int64
	for i, n := range m.slots {
		if int64(i) != m.second%int64(len(m.slots)) {
			sum += n
		}
	}
	return m.total, float64(sum) / rateSeconds
}

// advance forgets the seconds that are too long ago.
func (m *meter) advance(second int64) {
	if second-m.second >= int64(len(m.slots)) {
		m.slots = [len(m.slots)]int64{}
		m.second = second
	}
	for m.second < second { // a clock that goes back changes nothing
		m.second++
		m.slots[m.second%int64(len(m.slots))] = 0
	}
}
