package bandwidth_test

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/bandwidth"
)

func isMember() admission.Class { return admission.Member }

// bounded returns a connection under a limiter, whose other end gives and takes all.
func bounded(t *testing.T, m *bandwidth.Limiter) *bandwidth.Conn {
	t.Helper()
	near, far := net.Pipe()
	c := bandwidth.NewConn(near, m.Valve())
	go func() { _, _ = io.Copy(io.Discard, far) }()
	go func() {
		for b := make([]byte, 100_000); ; {
			if _, err := far.Write(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = c.Close(); _ = far.Close() })
	return c
}

// busy passes bytes over a connection in one direction until it is closed.
func busy(c *bandwidth.Conn, d bandwidth.Direction, chunk int) *atomic.Int64 {
	var passed atomic.Int64
	move := c.Write
	if d == bandwidth.Download {
		move = c.Read
	}
	go func() {
		for b := make([]byte, chunk); ; {
			n, err := move(b)
			passed.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	return &passed
}

// within checks a number of bytes for being what a rate has had time for, give or take a tenth.
func within(t *testing.T, what string, got int64, rate float64, d time.Duration) {
	t.Helper()
	want := rate * d.Seconds()
	if f := float64(got); f < 0.9*want || f > 1.1*want {
		t.Errorf("%s: %d bytes, want %.0f", what, got, want)
	}
}

func TestRatesHold(t *testing.T) {
	for _, rate := range []int64{bandwidth.Least, 100_000, 8 << 20, 64 << 20} {
		for _, conns := range []int{1, 20} {
			for d, l := range map[bandwidth.Direction]bandwidth.Limits{
				bandwidth.Upload:   {Upload: rate},
				bandwidth.Download: {Download: rate, DownloadStrangers: rate},
			} {
				synctest.Test(t, func(t *testing.T) {
					m := bandwidth.New(l)
					warm, long, chunk := 30*time.Second, time.Minute, 4<<10
					if rate > 1<<20 {
						warm, long, chunk = 2*time.Second, 4*time.Second, 64<<10 // more would take long in real time too
					}
					var passed []*atomic.Int64
					for range conns {
						passed = append(passed, busy(bounded(t, m), d, chunk))
					}
					time.Sleep(warm) // with what all may say first
					var before, after, least int64
					for _, n := range passed {
						before += n.Load()
					}
					time.Sleep(long)
					for _, n := range passed {
						after += n.Load()
						if least == 0 || n.Load() < least {
							least = n.Load()
						}
					}
					within(t, d.String(), after-before, float64(rate), long)
					if fair := rate * int64(long/time.Second) / int64(conns); least < fair*8/10 {
						t.Errorf("%s at %d: one of %d has had %d, want %d", d, rate, conns, least, fair)
					}
					for _, u := range m.Use() {
						if u.Direction == d && u.Party == bandwidth.Strangers {
							within(t, "what is shown", int64(u.Rate), float64(rate), time.Second)
						}
					}
				})
			}
		}
	}
}

// Strangers have their share and no more of it, and members the rest, or half of what they
// want together where strangers have no bound.
func TestMembersHaveTheRest(t *testing.T) {
	for _, tc := range []struct {
		limits             bandwidth.Limits
		strangers, members float64
	}{
		{bandwidth.Limits{Upload: 4 << 20, UploadStrangers: 1 << 20}, 1 << 20, 3 << 20},
		{bandwidth.Limits{Upload: 4 << 20}, 2 << 20, 2 << 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := bandwidth.New(tc.limits)
			for range 50 {
				busy(bounded(t, m), bandwidth.Upload, 4<<10)
			}
			member := bounded(t, m)
			member.Valve().Belongs(isMember)
			busy(member, bandwidth.Upload, 4<<10)
			used := func() (all [2]int64) {
				for _, u := range m.Use() {
					if u.Direction == bandwidth.Upload {
						all[u.Party] = u.Bytes
					}
				}
				return all
			}
			time.Sleep(10 * time.Second)
			before := used()
			time.Sleep(10 * time.Second)
			after := used()
			within(t, "strangers", after[0]-before[0], tc.strangers, 10*time.Second)
			within(t, "members", after[1]-before[1], tc.members, 10*time.Second)
		})
	}
}

// While strangers take all that they may have, what is small waits for nobody: what a member
// says, however much it has, and what somebody says who has just come.
func TestSmallThingsDoNotWait(t *testing.T) {
	for _, l := range []bandwidth.Limits{
		{Upload: 1 << 20, UploadStrangers: 64 << 10, Download: 1 << 20, DownloadStrangers: 64 << 10},
		{UploadStrangers: 64 << 10, DownloadStrangers: 64 << 10},
		{Upload: 64 << 10, Download: 64 << 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := bandwidth.New(l)
			for range 50 {
				busy(bounded(t, m), bandwidth.Upload, 4<<10)
				busy(bounded(t, m), bandwidth.Download, 4<<10)
			}
			time.Sleep(30 * time.Second) // what strangers may say first is said
			member, b := bounded(t, m), make([]byte, 1000)
			member.Valve().Belongs(isMember)
			took := func(what string, most time.Duration, c *bandwidth.Conn) {
				t.Helper()
				since := time.Now()
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Read(b); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(since); d > most {
					t.Errorf("%+v: %s took %v", l, what, d)
				}
			}
			for range 100 {
				took("what a member says", 150*time.Millisecond, member)
				time.Sleep(50 * time.Millisecond)
			}
			for range 10 {
				newcomer := bounded(t, m)
				for range 4 {
					took("a handshake", 0, newcomer)
				}
				time.Sleep(time.Second)
			}
		})
	}
}

// Who becomes a member has a member's bound from the next step on, and loses it the same way.
func TestClassChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bandwidth.New(bandwidth.Limits{Download: 8 << 20, DownloadStrangers: 1 << 20})
		c := bounded(t, m)
		var class atomic.Uint32
		c.Valve().Belongs(func() admission.Class { return admission.Class(class.Load()) })
		passed := busy(c, bandwidth.Download, 4<<10)
		for _, tc := range []struct {
			class admission.Class
			rate  float64
		}{{admission.Stranger, 1 << 20}, {admission.Protected, 8 << 20}, {admission.Known, 1 << 20}} {
			class.Store(uint32(tc.class))
			time.Sleep(time.Second)
			before := passed.Load()
			time.Sleep(10 * time.Second)
			within(t, tc.class.String(), passed.Load()-before, tc.rate, 10*time.Second)
		}
	})
}

// Who waits stops at once when its connection is closed, first in the queue or not.
func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bandwidth.New(bandwidth.Limits{Upload: bandwidth.Least, Download: bandwidth.Least})
		for _, d := range []bandwidth.Direction{bandwidth.Upload, bandwidth.Download} {
			var conns []*bandwidth.Conn
			ended := make(chan struct{})
			for range 5 {
				c := bounded(t, m)
				conns = append(conns, c)
				go func() {
					defer func() { ended <- struct{}{} }()
					for b := make([]byte, 1<<20); ; {
						move := c.Write
						if d == bandwidth.Download {
							move = c.Read
						}
						if _, err := move(b); err != nil {
							return
						}
					}
				}()
			}
			time.Sleep(10 * time.Second)
			since := time.Now()
			for _, c := range conns {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				<-ended
			}
			if took := time.Since(since); took != 0 {
				t.Errorf("%s: after %v", d, took)
			}
		}
	})
}

// The time that a write waits for its turn does not count for its deadline, but one that was
// set meanwhile does.
func TestDeadlineWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bandwidth.New(bandwidth.Limits{Upload: bandwidth.Least})
		c := bounded(t, m)
		if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		if _, err := c.Write(make([]byte, 200_000)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(since); took < 10*time.Second {
			t.Errorf("it was written within %v", took)
		}
		time.AfterFunc(5*time.Second, func() { _ = c.SetDeadline(time.Now()) })
		if _, err := c.Write(make([]byte, 200_000)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after its deadline: %v", err)
		}
	})
}

// A goodbye does not wait once nothing does.
func TestStopWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bandwidth.New(bandwidth.Limits{Upload: bandwidth.Least})
		c := bounded(t, m)
		if _, err := c.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		c.StopWaiting()
		since := time.Now()
		if n, err := c.Write(make([]byte, 100_000)); n != 100_000 || err != nil || time.Since(since) > 0 {
			t.Errorf("%d bytes after %v, %v", n, time.Since(since), err)
		}
	})
}

func TestNamesAndGroups(t *testing.T) {
	for class, want := range map[admission.Class]string{
		admission.Stranger: "strangers", admission.Known: "strangers", admission.Member: "members", admission.Protected: "members",
	} {
		if got := bandwidth.PartyOf(class).String(); got != want {
			t.Errorf("%s is of %s", class, got)
		}
	}
	m := bandwidth.New(bandwidth.Limits{Upload: 5 << 20, DownloadStrangers: 1 << 20})
	if m.Whole(bandwidth.Upload) != 5<<20 || m.Whole(bandwidth.Download) != 0 {
		t.Error("other bounds are in force")
	}
	for _, u := range m.Use() {
		want := int64(0)
		if u.Direction == bandwidth.Download && u.Party == bandwidth.Strangers {
			want = 1 << 20
		}
		if u.Limit != want {
			t.Errorf("%s of %s: %d", u.Direction, u.Party, u.Limit)
		}
	}
	if !(bandwidth.Limits{}).None() || (bandwidth.Limits{Upload: 1}).None() {
		t.Error("there is no bound, or there is")
	}
}
