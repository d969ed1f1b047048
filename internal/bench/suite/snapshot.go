package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/decube/decube/internal/bench"
)

// Snapshot measures creating and restoring snapshots of src in one mode:
// create, create again unchanged where src is a tree, restore from a cold and
// from a warm store.
func (s *Suite) Snapshot(ctx context.Context, src Source, mode string) error {
	p, root, err := s.create(ctx, src, mode)
	if err != nil {
		return err
	}
	return errors.Join(s.restoreBoth(ctx, p, root, src, mode), p.remove())
}

// CreateOnly measures creating snapshots of src in one mode.
func (s *Suite) CreateOnly(ctx context.Context, src Source, mode string) error {
	p, _, err := s.create(ctx, src, mode)
	if err != nil {
		return err
	}
	return p.remove()
}

// RestoreOnly measures restoring src in one mode, after creating it once.
func (s *Suite) RestoreOnly(ctx context.Context, src Source, mode string) error {
	p, err := s.newPeer(ctx, mode)
	if err != nil {
		return err
	}
	root, _, err := s.createOnce(ctx, p, src)
	if err != nil {
		return errors.Join(err, p.remove())
	}
	return errors.Join(s.restoreBoth(ctx, p, root, src, mode), p.remove())
}

// create measures creating snapshots of src, each in a new repository. It
// returns the last one, which the caller removes, and the snapshot's root.
func (s *Suite) create(ctx context.Context, src Source, mode string) (last *peer, root string, err error) {
	first := s.operation(bench.Operation{
		Name: "snapshot create", Data: src.Name, Mode: mode, Bytes: src.Bytes, Files: src.Files,
		Targets: createTargets(src),
	})
	var again *bench.Operation
	if src.Files > 1 {
		again = s.operation(bench.Operation{
			Name: "snapshot create, unchanged", Data: src.Name, Mode: mode, Bytes: src.Bytes, Files: src.Files,
			Targets: unchangedTargets(),
		})
	}
	for range s.cfg.Iterations {
		if err := last.remove(); err != nil {
			return nil, "", err
		}
		if last, err = s.newPeer(ctx, mode); err != nil {
			return nil, "", errors.Join(err, last.remove())
		}
		var sample bench.Sample
		root, sample, err = s.createOnce(ctx, last, src)
		if err != nil {
			return nil, "", errors.Join(err, last.remove())
		}
		first.Samples = append(first.Samples, sample)
		if again == nil {
			continue
		}
		if _, sample, err = s.createOnce(ctx, last, src); err != nil {
			return nil, "", errors.Join(err, last.remove())
		}
		again.Samples = append(again.Samples, sample)
	}
	return last, root, nil
}

func (s *Suite) createOnce(ctx context.Context, p *peer, src Source, flags ...string) (root string, sample bench.Sample, err error) {
	if err := bench.Settle(s.dir); err != nil {
		return "", sample, err
	}
	args := append([]string{"snapshot", "create", src.Path, "--json"}, flags...)
	sample, out, err := bench.Run(ctx, p.ctl(args...), p.processes("decube-node")...)
	if err != nil {
		return "", sample, err
	}
	var made struct {
		CID   string `json:"cid"`
		Bytes int64  `json:"bytes"`
		Files int64  `json:"files"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return "", sample, fmt.Errorf("snapshot create: reading its output: %w", err)
	}
	if made.Bytes != src.Bytes || made.Files != src.Files {
		return "", sample, fmt.Errorf("snapshot create of %s: it reports %d files, %d bytes; there are %d, %d",
			src.Path, made.Files, made.Bytes, src.Files, src.Bytes)
	}
	return made.CID, sample, nil
}

// restoreBoth measures restores from a cold store and then from a warm one.
func (s *Suite) restoreBoth(ctx context.Context, p *peer, root string, src Source, mode string) error {
	for _, cold := range []bool{true, false} {
		state := "warm"
		if cold {
			state = "cold"
		}
		o := s.operation(bench.Operation{
			Name: "snapshot restore", Data: src.Name, Mode: mode + ", " + state, Bytes: src.Bytes, Files: src.Files,
			Targets: restoreTargets(src),
		})
		if !cold { // a cold sample has read only what it needed
			if _, err := bench.Warm(ctx, p.blocks()); err != nil {
				return err
			}
		}
		for range s.cfg.Iterations {
			sample, err := s.restoreOnce(ctx, p, root, &src.Tree, cold)
			if err != nil {
				return err
			}
			o.Samples = append(o.Samples, sample)
		}
	}
	return nil
}

// RestoreSnapshot measures restoring a snapshot that the repository at dir
// holds, through its daemon if one runs, as often as configured.
func (s *Suite) RestoreSnapshot(ctx context.Context, dir, id string) error {
	if err := s.measureLimits(ctx, limitsOfContent); err != nil {
		return err
	}
	o := s.operation(bench.Operation{Name: "snapshot restore", Data: id, Mode: "as found"})
	p := &peer{suite: s, dir: dir}
	tree := &bench.Tree{} // unknown before the first restore
	for range s.cfg.Iterations {
		sample, err := s.restoreOnce(ctx, p, id, tree, false)
		if err != nil {
			return err
		}
		o.Bytes, o.Files = tree.Bytes, tree.Files
		o.Samples = append(o.Samples, sample)
	}
	return nil
}

// restoreOnce restores into a fresh target and checks that want is there; a zero
// want is set to what is.
func (s *Suite) restoreOnce(ctx context.Context, p *peer, root string, want *bench.Tree, cold bool) (bench.Sample, error) {
	if cold {
		if err := bench.Chill(ctx, p.blocks()); err != nil {
			return bench.Sample{}, err
		}
	}
	if err := bench.Settle(s.dir); err != nil {
		return bench.Sample{}, err
	}
	target := s.fresh("restored")
	sample, _, err := bench.Run(ctx, p.ctl("snapshot", "restore", root, target, "--json"), p.processes("decube-node")...)
	if err != nil {
		return sample, err
	}
	return sample, s.checkRestored(ctx, target, want)
}

// checkRestored compares what was restored with what was to be, in number and
// length, and deletes it where that is one file.
func (s *Suite) checkRestored(ctx context.Context, target string, want *bench.Tree) error {
	got, err := bench.Warm(ctx, target)
	if err != nil {
		return err
	}
	if *want == (bench.Tree{}) {
		*want = got
	}
	if got != *want {
		return fmt.Errorf("restored %d files, %d bytes; there were %d, %d", got.Files, got.Bytes, want.Files, want.Bytes)
	}
	if got.Files > 1 {
		return nil
	}
	return os.RemoveAll(target)
}

// commandName is a program's name as it appears in operations.
func commandName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".exe") }
