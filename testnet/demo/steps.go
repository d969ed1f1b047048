package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/compare"
)

// created is what decubectl snapshot create --json prints.
type created struct {
	CID       string  `json:"cid"`
	Files     int64   `json:"files"`
	Bytes     int64   `json:"bytes"`
	Chunks    int64   `json:"chunks"`
	NewChunks int64   `json:"new_chunks"`
	NewBytes  int64   `json:"new_bytes"`
	Seconds   float64 `json:"seconds"`

	Registration struct {
		Registered bool    `json:"registered"`
		Block      uint64  `json:"block"`
		Seconds    float64 `json:"seconds"`
		Problem    string  `json:"problem"`
	} `json:"registration"`
}

// create takes a snapshot of path on n, with flags.
func (d *demo) create(ctx context.Context, n *cluster.Node, path string, flags ...string) (created, error) {
	d.typed(n.Name(), append([]string{"snapshot create", d.shown(path)}, flags...)...)
	var c created
	if err := n.JSON(ctx, &c, append([]string{"snapshot", "create", path}, flags...)...); err != nil {
		return c, err
	}
	d.say("%s", c.CID)
	if c.NewChunks == 0 {
		d.say("%s, %s, known within %.2f s: nothing to store", count(c.Files, "file", "files"), size(c.Bytes), c.Seconds)
		return c, d.registered(&c)
	}
	d.say("%s, %s; %d of %s new, %s stored",
		count(c.Files, "file", "files"), rate(c.Bytes, c.Seconds), c.NewChunks, count(c.Chunks, "chunk", "chunks"), size(c.NewBytes))
	return c, d.registered(&c)
}

// registered says where a snapshot is in the ledger.
func (d *demo) registered(c *created) error {
	r := &c.Registration
	if !r.Registered || r.Block == 0 {
		return fmt.Errorf("%w: %s: %+v", errNotRegistered, c.CID, r)
	}
	d.say("registered in block %d of the ledger, final after %.0f ms", r.Block, r.Seconds*1000)
	return nil
}

// errNotRegistered is returned for a snapshot that is in no block.
var errNotRegistered = errors.New("the snapshot is not registered")

// found is what decubectl snapshot find --json prints.
type found struct {
	CID   string   `json:"cid"`
	Name  string   `json:"name"`
	Files int64    `json:"files"`
	Bytes int64    `json:"bytes"`
	Peers []string `json:"peers"`
}

// find looks for the one snapshot with text in its name in n's copy of the catalog, until
// that has it.
func (d *demo) find(ctx context.Context, n *cluster.Node, text string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	d.typed(n.Name(), "snapshot find", text)
	var f found
	for {
		err := n.JSON(ctx, &f, "snapshot", "find", text)
		if err == nil {
			break
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != notFound {
			return f, err
		}
		select {
		case <-ctx.Done():
			return f, fmt.Errorf("%w, within %v", err, patience)
		case <-again.C:
		}
	}
	var names []string
	for _, p := range f.Peers {
		names = append(names, d.name(p))
	}
	d.say("%s: %s, %s in %s, kept by %s", f.CID, f.Name, size(f.Bytes), count(f.Files, "file", "files"), strings.Join(names, ", "))
	return f, nil
}

// notFound is the exit code of decubectl for what its node does not know.
const notFound = 15

// fetch completes n's copy of a snapshot, which a CID or a name stands for.
func (d *demo) fetch(ctx context.Context, n *cluster.Node, snapshot string) error {
	d.typed(n.Name(), "snapshot fetch", snapshot)
	var got api.FetchResult
	if err := n.JSON(ctx, &got, "snapshot", "fetch", snapshot); err != nil {
		return err
	}
	d.fetched(got)
	return nil
}

// fetched says what a fetch has brought.
func (d *demo) fetched(r api.FetchResult) {
	d.say("%s, %s: %s", count(r.FetchedBlocks, "block", "blocks"), rate(r.FetchedBytes, r.Seconds), d.parts(r.Providers))
}

// fetchByAPI completes n's copy of a snapshot as a program would, and calls
// progress as it goes. It gives up when that returns an error.
func (d *demo) fetchByAPI(ctx context.Context, n *cluster.Node, cid string, progress func(api.FetchProgress) error) (api.FetchResult, error) {
	root, err := block.Parse(cid)
	if err != nil {
		return api.FetchResult{}, err
	}
	c, err := client.New(client.Options{Repo: n.Repo(), UserAgent: "decube-demo"})
	if err != nil {
		return api.FetchResult{}, err
	}
	defer c.Close()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	fmt.Fprintf(d.out, "   %s > POST %s%s/snapshots/%s/fetch\n", n.Name(), n.API(), api.Prefix, cid)
	got, err := c.Fetch(ctx, root, api.FetchRequest{Pin: true}, func(p api.FetchProgress) {
		if err := progress(p); err != nil {
			giveUp(err)
		}
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return got, err
}

// parts says which provider gave how much.
func (d *demo) parts(providers []api.ProviderProgress) string {
	var out []string
	for _, p := range providers {
		if p.Bytes > 0 {
			out = append(out, fmt.Sprintf("%s from %s", size(p.Bytes), d.name(p.ID)))
		}
	}
	return strings.Join(out, ", ")
}

// restore restores a snapshot on n and compares it with what it was taken of.
func (d *demo) restore(ctx context.Context, n *cluster.Node, cid, original, target string) error {
	d.typed(n.Name(), "snapshot restore", cid, d.shown(target))
	began := time.Now()
	if _, err := n.Run(ctx, "snapshot", "restore", cid, target); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	sum, err := compare.Trees(ctx, original, target)
	if err != nil {
		return fmt.Errorf("comparing %s with what %s restored: %w", original, n.Name(), err)
	}
	d.say("%s; identical, byte for byte:", rate(sum.Bytes-sum.Holes, took))
	d.say("%s", contents(sum))
	d.say("with their modes, owners, and times to the nanosecond")
	return nil
}

// contents says what there is in a tree, as far as there is any.
func contents(s compare.Summary) string {
	var out []string
	for _, part := range []struct {
		n         int64
		one, many string
	}{
		{s.Files, "file", "files"},
		{s.Sparse, "of them sparse", "of them sparse"},
		{s.Dirs, "directory", "directories"},
		{s.Symlinks, "symlink", "symlinks"},
		{s.HardLinks, "hard link", "hard links"},
		{s.Others, "fifo", "fifos"},
		{s.Xattrs, "extended attribute", "extended attributes"},
	} {
		if part.n > 0 {
			out = append(out, count(part.n, part.one, part.many))
		}
	}
	return strings.Join(out, ", ")
}

// verify reads every block of a snapshot back.
func (d *demo) verify(ctx context.Context, n *cluster.Node, cid string) error {
	d.typed(n.Name(), "snapshot verify --read-data", cid)
	var report api.VerifyReport
	if err := n.JSON(ctx, &report, "snapshot", "verify", "--read-data", cid); err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("%s: %s is not whole: %+v", n.Name(), cid, report)
	}
	d.say("all %s whole, %s read back and hashed", count(report.Blocks, "block", "blocks"), rate(report.Bytes, report.Seconds))
	return nil
}
