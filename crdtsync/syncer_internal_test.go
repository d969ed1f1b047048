package crdtsync

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/driver"
)

// nothing returns a session that has brought nothing.
func nothing(t *testing.T) *driver.Session {
	t.Helper()
	return driver.New(driver.Options{
		Document: crdttest.Unowned(t, "s"), Key: crdttest.Key("a"), Random: rand.New(rand.NewPCG(1, 2)).Uint64, Verify: crdttest.Verifier,
	}).Compare()
}

// Who gives cause to be asked all the time, and then has nothing, is asked ever less for it; and
// who does so once after a quiet time is asked at once.
func TestCauseForNothing(t *testing.T) {
	now := time.Unix(1_000, 0)
	p := &standing{next: now}
	asked := 0
	for end := now.Add(10 * time.Minute); now.Before(end); now = now.Add(100 * time.Millisecond) {
		p.soon()
		if !p.next.After(now) {
			asked++
			p.wasAsked(now, nothing(t), nil)
		}
	}
	if asked < 20 || asked > 60 {
		t.Errorf("asked %d times in ten minutes", asked)
	}
	for range 20 { // in its time, without cause
		now = p.next
		p.wasAsked(now, nothing(t), nil)
	}
	if p.soon(); p.next.Sub(now) != syncSoon {
		t.Errorf("after a quiet time it is asked after %v", p.next.Sub(now))
	}
}

func TestWhoFailsIsLetAlone(t *testing.T) {
	now := time.Unix(1_000, 0)
	p := &standing{next: now}
	for want := syncEvery; want < syncSlowest; want *= 2 {
		p.wasAsked(now, nothing(t), errors.New("hung up"))
		if got := p.next.Sub(now); got != want || p.failed == "" || p.inStep {
			t.Errorf("let alone for %v, want %v", got, want)
		}
		now = p.next
	}
	if p.wasAsked(now, nothing(t), nil); p.fails != 0 || p.failed != "" {
		t.Errorf("%+v", p)
	}
}
