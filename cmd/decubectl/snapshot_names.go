package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/oneline"
)

// This file says which snapshots the swarm has, by what peers say that they keep, and which of
// them somebody means. It is pure.

// keptSnapshots is the collection in which every peer says what it keeps.
const keptSnapshots = "snapshots"

// swarmSnapshot is a snapshot that peers say they keep, as it is printed with --json. They may
// say what they like: only the CID is proved, by a fetch. Of what they contradict each other in
// it has what most of them say.
type swarmSnapshot struct {
	CID     block.ID  `json:"cid"`
	Name    string    `json:"name,omitempty"`
	Others  []string  `json:"other_names,omitempty"` // what fewer peers call it
	Created time.Time `json:"created,omitzero"`
	Files   int64     `json:"files"`
	Bytes   int64     `json:"bytes"`
	Hosts   []string  `json:"hosts,omitempty"` // which are said in private swarms alone
	Tags    []string  `json:"tags,omitempty"`
	Peers   []string  `json:"peers"` // that keep it
}

// names returns all that it is called.
func (s *swarmSnapshot) names() []string {
	if s.Name == "" {
		return nil
	}
	return append([]string{s.Name}, s.Others...)
}

// claims are what peers say of one snapshot.
type claims struct {
	peers, names, hosts, tags []string
	created, files, bytes     []int64
}

// swarmIndex gathers what peers say.
type swarmIndex map[block.ID]*claims

// add takes in a document of the collection. One that no node writes counts for nothing.
func (x swarmIndex) add(d *api.CatalogDocument) {
	if d.Space.IsZero() {
		return
	}
	space := d.Space.String()
	key, ok := strings.CutPrefix(d.Path, client.CatalogPath{Space: space, Collection: keptSnapshots}.String())
	if !ok {
		return
	}
	root, err := block.Parse(key)
	if err != nil || root.Codec() != block.DagCBOR || root.String() != key {
		return
	}
	s := x[root]
	if s == nil {
		s = new(claims)
		x[root] = s
	}
	s.peers = append(s.peers, space)
	for i := range d.Fields {
		s.field(&d.Fields[i])
	}
}

func (s *claims) field(f *api.CatalogField) {
	if f.Name == "tags" {
		for _, e := range f.Elements[:min(len(f.Elements), api.MaxTags)] {
			if isLabel(e.Name) {
				s.tags = append(s.tags, e.Name)
			}
		}
		return
	}
	if len(f.Values) == 0 {
		return
	}
	v, err := f.Values[0].Decode()
	if err != nil {
		return
	}
	switch of := v.Type(); {
	case f.Name == "name" && of == bundle.Text && isLabel(v.Text()):
		s.names = append(s.names, v.Text())
	case f.Name == "host" && of == bundle.Text && isLabel(v.Text()):
		s.hosts = append(s.hosts, v.Text())
	case f.Name == "created" && of == bundle.Instant:
		s.created = append(s.created, v.Whole())
	case f.Name == "files" && of == bundle.Whole && v.Whole() >= 0:
		s.files = append(s.files, v.Whole())
	case f.Name == "size" && of == bundle.Size:
		s.bytes = append(s.bytes, v.Whole())
	}
}

// isLabel reports whether a node may give a snapshot a text as its name.
func isLabel(s string) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= api.MaxLabel
}

// snapshots returns all that peers have told of, the newest first.
func (x swarmIndex) snapshots() []swarmSnapshot {
	out := make([]swarmSnapshot, 0, len(x))
	for root, s := range x {
		snap := swarmSnapshot{
			CID: root, Files: most(s.files), Bytes: most(s.bytes), Hosts: tally(s.hosts), Tags: slices.Compact(slices.Sorted(slices.Values(s.tags))),
			Peers: slices.Sorted(slices.Values(s.peers)),
		}
		if names := tally(s.names); len(names) > 0 {
			snap.Name, snap.Others = names[0], names[1:]
		}
		if len(s.created) > 0 {
			snap.Created = time.UnixMilli(most(s.created)).UTC()
		}
		out = append(out, snap)
	}
	slices.SortFunc(out, func(a, b swarmSnapshot) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.CID.String(), b.CID.String()))
	})
	return out
}

// tally returns what is said, once each: what is said most often first, and of what is said as
// often, the least.
func tally[T cmp.Ordered](said []T) []T {
	times := map[T]int{}
	for _, v := range said {
		times[v]++
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(said)))
	slices.SortStableFunc(distinct, func(a, b T) int { return cmp.Compare(times[b], times[a]) })
	return distinct
}

// most returns what is said most often, and nothing where nobody says anything.
func most[T cmp.Ordered](said []T) T {
	var none T
	return append(tally(said), none)[0]
}

// snapshotPattern is what somebody looks for: a part of a name or of a tag, or how a CID begins;
// with * or ? the whole of one of these.
type snapshotPattern struct {
	folded []rune // as it is compared
	whole  bool
}

func newSnapshotPattern(text string) snapshotPattern {
	return snapshotPattern{fold(text), strings.ContainsAny(text, "*?")}
}

// fold returns a text so that case makes no difference.
func fold(s string) []rune { return []rune(strings.ToLower(s)) }

func (p snapshotPattern) matches(s *swarmSnapshot) bool {
	cid := s.CID.String()
	if p.whole && globbed(p.folded, fold(cid)) || !p.whole && strings.HasPrefix(cid, string(p.folded)) {
		return true
	}
	in := func(text string) bool {
		if p.whole {
			return globbed(p.folded, fold(text))
		}
		return strings.Contains(string(fold(text)), string(p.folded))
	}
	return slices.ContainsFunc(s.names(), in) || slices.ContainsFunc(s.Tags, in)
}

// globbed reports whether a pattern stands for all of a text: * for any of it, ? for one
// character. It takes as long as both lengths multiplied, at most.
func globbed(pattern, text []rune) bool {
	p, star, from := 0, -1, 0
	for t := 0; t < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0: // the last * stands for one character more
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(string(pattern[p:]), "*") == ""
}

// chosen returns those of all that are wanted.
func chosen[T any](all []T, wanted func(*T) bool) []T {
	var out []T
	for i := range all {
		if wanted(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// mostCandidates and mostKeepers are how many of them are told of in a message.
const (
	mostCandidates = 10
	mostKeepers    = 3
)

// resolveName returns the one snapshot of a name. Where there is none the error is
// [api.ErrNotFound], and it is a mistake in the usage where there are several.
func resolveName(all []swarmSnapshot, name string) (*swarmSnapshot, error) {
	found := chosen(all, func(s *swarmSnapshot) bool { return slices.Contains(s.names(), name) })
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		hint := `"decubectl snapshot find" looks for a part of a name, "decubectl snapshot list --swarm" shows all`
		for i := range all {
			for _, other := range all[i].names() {
				if strings.EqualFold(other, name) {
					return nil, noSuchName(name, "but there is "+quoted(other)+"; "+hint)
				}
			}
		}
		return nil, noSuchName(name, hint)
	}
	var b strings.Builder
	for i, s := range found {
		if i == mostCandidates {
			fmt.Fprintf(&b, "\n  and %s more: \"decubectl snapshot find\" shows them", count(int64(len(found)-i)))
			break
		}
		fmt.Fprintf(&b, "\n  %s  %s  kept by %s", s.CID, whenSaid(s.Created), keepers(s.Peers))
	}
	return nil, usageError("%s is the name of %d snapshots: fetch one of them by its CID%s", quoted(name), len(found), b.String())
}

func noSuchName(name, hint string) error {
	return fmt.Errorf("%w: no peer says that it keeps a snapshot of the name %s; %s", api.ErrNotFound, quoted(name), hint)
}

// keepers names peers, the first of them at least.
func keepers(peers []string) string {
	if len(peers) <= mostKeepers {
		return strings.Join(peers, ", ")
	}
	return strings.Join(peers[:mostKeepers], ", ") + fmt.Sprintf(" and %d more", len(peers)-mostKeepers)
}

// whenSaid writes a time that may not be said.
func whenSaid(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return when(t)
}

// quoted writes a text of others in quotes, on one line.
func quoted(s string) string {
	if oneline.Printable(s) {
		return strconv.Quote(s)
	}
	return strconv.QuoteToASCII(s)
}

// looksLikeCID reports whether an argument that is no CID was meant to be one, such as one that
// is cut off.
func looksLikeCID(arg string) bool {
	const shortest = 20
	return len(arg) >= shortest && strings.HasPrefix(arg, "baf") && strings.Trim(arg, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// parseRootOrName reads an argument that names a snapshot by its CID, or else by its name.
func parseRootOrName(arg string) (root block.ID, name string, err error) {
	root, err = parseRoot(arg)
	if !errors.Is(err, block.ErrSyntax) || !isLabel(arg) || looksLikeCID(arg) {
		return root, "", err
	}
	return block.ID{}, arg, nil
}
