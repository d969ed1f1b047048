package snapshot_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/snapshot"
)

// TestReport tells ten times a second and a last time at the end, never at once, and
// nothing afterwards.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		var path atomic.Pointer[string]
		var told []snapshot.Progress
		var telling atomic.Int32
		tell := func(p snapshot.Progress) {
			if telling.Add(1) > 1 {
				t.Error("two calls at once")
			}
			time.Sleep(30 * time.Millisecond) // of the bubble's clock: whoever shows it is slow
			told = append(told, p)
			telling.Add(-1)
		}
		stop := snapshot.Report(tell, func() snapshot.Progress { return snapshot.Progress{Files: 1, Bytes: done.Load()} }, &path)
		time.Sleep(150 * time.Millisecond)
		name := "some/file"
		path.Store(&name)
		done.Store(7)
		time.Sleep(900 * time.Millisecond)
		done.Store(8)
		stop()
		n := len(told)
		if n != 11 {
			t.Fatalf("told %d times in 1.05 seconds", n)
		}
		if told[0] != (snapshot.Progress{Files: 1}) || told[1] != (snapshot.Progress{Files: 1, Bytes: 7, Path: name}) {
			t.Errorf("first %+v", told[:2])
		}
		if told[n-1].Bytes != 8 {
			t.Errorf("at the end %+v", told[n-1])
		}
		time.Sleep(time.Second)
		if len(told) != n {
			t.Errorf("told %d times after the end", len(told)-n)
		}
	})
}

// TestReportWhileTelling stops while a call is under way: the last one follows it.
func TestReportWhileTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told, telling atomic.Int32
		var path atomic.Pointer[string]
		stop := snapshot.Report(func(snapshot.Progress) {
			if telling.Add(1) > 1 {
				t.Error("two calls at once")
			}
			time.Sleep(time.Minute)
			told.Add(1)
			telling.Add(-1)
		}, func() snapshot.Progress { return snapshot.Progress{} }, &path)
		time.Sleep(time.Second)
		stop()
		n := told.Load()
		if n < 2 || telling.Load() != 0 {
			t.Errorf("told %d times, %d calls under way", n, telling.Load())
		}
		time.Sleep(time.Hour)
		if told.Load() != n {
			t.Errorf("told %d times after the end", told.Load()-n)
		}
	})
}

// TestReportAtOnce tells once of what takes no time, and needs nobody to listen.
func TestReportAtOnce(t *testing.T) {
	var path atomic.Pointer[string]
	n := 0
	snapshot.Report(func(snapshot.Progress) { n++ }, func() snapshot.Progress { return snapshot.Progress{} }, &path)()
	if n != 1 {
		t.Errorf("told %d times", n)
	}
	snapshot.Report(nil, func() snapshot.Progress { t.Error("asked, for nobody"); return snapshot.Progress{} }, &path)()
}
