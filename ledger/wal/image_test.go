package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
)

// models are what disks may do at a crash, from the usual to the worst.
var models = []faultfs.Model{{}, {Torn: true}, {Unordered: true}, {Torn: true, Unordered: true}}

// checkImage opens the log in an image, as often as given, each time after another
// crash without any work in between.
func (m *model) checkImage(image *faultfs.FS, crashes int) error {
	seen := *m
	for i := range crashes {
		if err := seen.check(small(image)); err != nil {
			return fmt.Errorf("open %d: %w", i+1, err)
		}
		image = image.Image(faultfs.Model{}, faultfs.Oldest)
	}
	return nil
}

// The power fails during every operation of a random workload, and whatever image
// it leaves, the log holds all that was acknowledged, and nothing that was not
// appended. What a first Open replays, every later one does.
func TestImagesOfEveryCrash(t *testing.T) {
	const steps, draws = 30, 4
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	images := 0
	for seed := range seeds {
		workload := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 9)) }
		whole := faultfs.New(seed)
		must(t, newModel().run(workload(), small(whole), steps))
		for at := 1; at <= whole.Ops(); at++ {
			fsys, m := faultfs.New(seed), newModel()
			fsys.CrashAt(at)
			if err := m.run(workload(), small(fsys), steps); !errors.Is(err, faultfs.ErrCrashed) {
				t.Fatalf("seed %d, crash at %d: %v", seed, at, err)
			}
			rnd := rand.New(rand.NewPCG(seed, uint64(at)))
			for _, disk := range models {
				choosers := []faultfs.Chooser{faultfs.Oldest, faultfs.Newest}
				for range draws {
					choosers = append(choosers, faultfs.Random(rnd))
				}
				for i, c := range choosers {
					images++
					if err := m.checkImage(fsys.Image(disk, c), 2); err != nil {
						t.Fatalf("seed %d, crash at %d, %+v, image %d: %v", seed, at, disk, i, err)
					}
				}
			}
		}
	}
	t.Logf("%d images", images)
}

// A group that was not acknowledged is replayed whole or not at all, whichever of
// its sectors are on the disk; so is one that is written where an older group was.
func TestEveryImageOfAGroup(t *testing.T) {
	const size = 3000 // of each record, so that a group has one block
	for _, c := range []struct {
		name   string
		before int // groups
	}{{"first use", 1}, {"second use", 14}} {
		t.Run(c.name, func(t *testing.T) {
			fsys := faultfs.New(1)
			o := small(fsys)
			l := create(t, o)
			for range c.before {
				add(t, l, size)
				must(t, l.TruncateBefore(l.Next()))
			}
			m := &model{acked: l.Next(), flight: l.Next() + 1, floor: l.Next(), created: true, log: l}
			m.sizes = slices.Repeat([]int{size}, c.before+1)
			if _, err := l.Append(byte(l.Next()), content(l.Next(), size)); err != nil {
				t.Fatal(err)
			}
			fsys.CrashAt(fsys.Ops() + 2) // the flush behind the write
			if err := l.Sync(); !errors.Is(err, faultfs.ErrCrashed) {
				t.Fatal(err)
			}
			images, whole := 0, 0
			for choice := range faultfs.Every() {
				image := fsys.Image(faultfs.Model{}, choice)
				seen := *m
				if err := seen.check(small(image)); err != nil {
					t.Fatalf("image %d: %v", images, err)
				}
				images++
				if seen.acked == m.flight {
					whole++
				}
			}
			if images < 1<<(blockSize/sectorSize) || whole == 0 || whole == images {
				t.Errorf("the group was found in %d of %d images", whole, images)
			}
		})
	}
}

// A disk that lies about its flushes loses records, but the log never makes up any:
// what it replays is a beginning of what was appended, or it says that it is damaged.
func TestImagesOfLyingDisks(t *testing.T) {
	refused, short := 0, 0
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 10))
		fsys := faultfs.New(seed)
		l := create(t, small(fsys))
		for range 1 + rnd.IntN(4) {
			add(t, l, rnd.IntN(3000))
		}
		honest := l.Next()
		fsys.SetLying(true)
		for range 1 + rnd.IntN(6) {
			add(t, l, rnd.IntN(3000))
		}
		l2, err := Open(small(fsys.Image(models[rnd.IntN(len(models))], faultfs.Random(rnd))))
		if errors.Is(err, ErrCorrupt) {
			refused++
			continue
		}
		must(t, err)
		records, err := replayed(l2)
		must(t, err)
		next := l2.Recovery().Next
		if uint64(len(records)) != next-1 || next < honest || next > l.Next() {
			t.Fatalf("seed %d: %d records of %d, of which %d were synced", seed, len(records), l.Next()-1, honest-1)
		}
		if next < l.Next() {
			short++
		}
	}
	if refused == 0 || short == 0 {
		t.Errorf("%d logs refused, %d short: the lies are not varied", refused, short)
	}
}
