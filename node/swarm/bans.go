package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/node/host"
)

// mostBans bounds the list: each connection is held against all of it.
const mostBans = 4096

// bans is the list of whom this peer has nothing to do with, in the host and in a file.
type bans struct {
	host *host.Host
	file string

	mu   sync.Mutex
	list []api.Ban // in the order in which they were banned
}

// openBans reads the list, if there is one, and puts it into force.
func openBans(h *host.Host, dir string) (*bans, error) {
	b := &bans{host: h, file: filepath.Join(dir, "bans.json")}
	data, err := durable.OS.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading who is banned: %w", err)
	}
	var list []api.Ban
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading who is banned: %s: %w; mend it, or remove it to ban nobody", b.file, err)
	}
	if err := b.force(list); err != nil {
		return nil, fmt.Errorf("reading who is banned: %s: %w; mend it, or remove it to ban nobody", b.file, err)
	}
	return b, nil
}

// force puts a list into force.
func (b *bans) force(list []api.Ban) error {
	targets := make([]host.Target, len(list))
	for i, ban := range list {
		var err error
		if targets[i], err = host.ParseTarget(ban.Target); err != nil {
			return err
		}
	}
	b.host.SetBans(targets)
	b.list = list
	return nil
}

// set makes a list durable and puts it into force.
func (b *bans) set(list []api.Ban) error {
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("writing who is banned: %w", err)
	}
	if err := durable.OS.MkdirAll(filepath.Dir(b.file), 0o700); err != nil {
		return fmt.Errorf("writing who is banned: %w", err)
	}
	if err := durable.OS.WriteFile(b.file, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing who is banned: %w", err)
	}
	return b.force(list)
}

// List implements swarmapi.Bans.
func (b *bans) List(context.Context) ([]api.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]api.Ban{}, b.list...), nil
}

// Ban implements swarmapi.Bans.
func (b *bans) Ban(_ context.Context, texts []string) ([]api.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, added := slices.Clone(b.list), []api.Ban{}
	for _, text := range texts {
		target, err := b.parse(text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(list, isOf(target)) {
			ban := api.Ban{Target: target.String(), Since: time.Now().UTC().Truncate(time.Second)}
			list, added = append(list, ban), append(added, ban)
		}
	}
	if len(list) > mostBans {
		return nil, fmt.Errorf("%w: there would be %d bans, at most %d are kept; ban networks instead", api.ErrTooLarge, len(list), mostBans)
	}
	return added, b.set(list)
}

// Unban implements swarmapi.Bans.
func (b *bans) Unban(_ context.Context, texts []string) ([]api.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, removed := slices.Clone(b.list), []api.Ban{}
	for _, text := range texts {
		target, err := b.parse(text)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, isOf(target))
		if i < 0 {
			return nil, fmt.Errorf("%w: %s is not banned by this name", api.ErrNotFound, target)
		}
		removed, list = append(removed, list[i]), slices.Delete(list, i, i+1)
	}
	return removed, b.set(list)
}

// parse reads a target that may be banned here.
func (b *bans) parse(text string) (host.Target, error) {
	target, err := host.ParseTarget(text)
	if err != nil {
		return host.Target{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	if target.Peer == b.host.ID() {
		return host.Target{}, fmt.Errorf("%w: %s is this peer", api.ErrInvalid, target)
	}
	return target, nil
}

// isOf tells a ban by its target.
func isOf(target host.Target) func(api.Ban) bool {
	return func(ban api.Ban) bool { return ban.Target == target.String() }
}
