package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/decube/decube/api"
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
}

// create takes a snapshot of path on n.
func (d *demo) create(ctx context.Context, n *cluster.Node, path string) (created, error) {
	d.typed(n.Name(), "snapshot create", path)
	var c created
	if err := n.JSON(ctx, &c, "snapshot", "create", path); err != nil {
		return c, err
	}
	d.say("%s", c.CID)
	d.say("%s, %s; %s of %s new and stored",
		count(c.Files, "file", "files"), rate(c.Bytes, c.Seconds), count(c.NewChunks, "block", "blocks"), count(c.Chunks, "block", "blocks"))
	return c, nil
}

// fetch completes n's copy of a snapshot. It calls progress, which may be nil, as
// the fetch goes, and ends it when that returns an error.
func (d *demo) fetch(ctx context.Context, n *cluster.Node, cid string, progress func(api.FetchProgress) error) (api.FetchResult, error) {
	d.typed(n.Name(), "snapshot fetch", cid)
	var errs bytes.Buffer
	cmd := n.Command(ctx, "snapshot", "fetch", cid, "--json")
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return api.FetchResult{}, err
	}
	if err := cmd.Start(); err != nil {
		return api.FetchResult{}, err
	}
	got, err := follow(out, progress)
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill())
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return got, fmt.Errorf("%s: fetching %s: %w: %s", n.Name(), cid, err, bytes.TrimSpace(errs.Bytes()))
	}
	d.say("%s, %s from %s", count(got.FetchedBlocks, "block", "blocks"), rate(got.FetchedBytes, got.Seconds), d.parts(got.Providers))
	return got, nil
}

// follow reads what decubectl snapshot fetch --json prints: any number of lines
// of progress, which name a phase, then the result.
func follow(r io.Reader, progress func(api.FetchProgress) error) (result api.FetchResult, err error) {
	for lines := bufio.NewScanner(r); err == nil && lines.Scan(); {
		var p api.FetchProgress
		if err = json.Unmarshal(lines.Bytes(), &p); err != nil {
			continue
		}
		switch {
		case p.Phase == "":
			err = json.Unmarshal(lines.Bytes(), &result)
		case progress != nil:
			err = progress(p)
		}
	}
	return result, err
}

// parts says which provider gave how much.
func (d *demo) parts(providers []api.ProviderProgress) string {
	var out []string
	for _, p := range providers {
		if p.Bytes > 0 {
			out = append(out, fmt.Sprintf("%s (%s)", d.name(p.ID), size(p.Bytes)))
		}
	}
	return strings.Join(out, " and ")
}

// restore restores a snapshot on n and compares it with what it was taken of.
func (d *demo) restore(ctx context.Context, n *cluster.Node, cid, original, target string) error {
	d.typed(n.Name(), "snapshot restore", cid, target)
	began := time.Now()
	if _, err := n.Run(ctx, "snapshot", "restore", cid, target); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	sum, err := compare.Trees(ctx, original, target)
	if err != nil {
		return fmt.Errorf("comparing %s with what %s restored: %w", original, n.Name(), err)
	}
	d.say("%s", rate(sum.Bytes, took))
	d.say("identical to the original: every byte of %s; mode, owner and time to the nanosecond of", count(sum.Files-sum.HardLinks, "file", "files"))
	d.say("%s, %s and %s; %s, %s", count(sum.Files+sum.Others, "name", "names"), count(sum.Dirs, "directory", "directories"),
		count(sum.Symlinks, "symlink", "symlinks"), count(sum.HardLinks, "hard link", "hard links"), count(sum.Xattrs, "extended attribute", "extended attributes"))
	return nil
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
