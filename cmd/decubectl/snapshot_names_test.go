package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/sig"
)

// rootOf returns the CID of a snapshot.
func rootOf(what string) block.ID { return block.New(block.DagCBOR, []byte(what)).ID() }

// peerOf returns the key of a peer.
func peerOf(n byte) sig.PublicKey { return sig.FromSeed([sig.SeedSize]byte{n}).Public() }

// claimed returns the document in which a peer says that it keeps something. A field is
// NAME=VALUE or tags+=TAG.
func claimed(t *testing.T, peer byte, key string, fields ...string) api.CatalogDocument {
	t.Helper()
	d := api.CatalogDocument{Path: "~" + peerOf(peer).String() + "/snapshots/" + key, Space: peerOf(peer)}
	tags := api.CatalogField{Name: "tags"}
	for _, text := range fields {
		o, err := parseAssignment(text)
		if err != nil {
			t.Fatal(err)
		}
		if o.Kind == bundle.Add {
			tags.Elements = append(tags.Elements, api.CatalogElement{Name: o.Element})
			continue
		}
		d.Fields = append(d.Fields, api.CatalogField{Name: o.Field, Values: []api.CatalogValue{api.NewCatalogValue(o.Value)}})
	}
	d.Fields = append(d.Fields, tags)
	return d
}

func indexed(docs ...api.CatalogDocument) []swarmSnapshot {
	x := swarmIndex{}
	for i := range docs {
		x.add(&docs[i])
	}
	return x.snapshots()
}

// What several peers say of one snapshot is one entry, as most of them have it.
func TestSnapshotsOfTheSwarm(t *testing.T) {
	a, b := rootOf("a").String(), rootOf("b").String()
	all := indexed(
		claimed(t, 1, a, "name:text=photos", "created=2026-01-02T03:04:05Z", "files=3", "size=10B", "tags+=x", "tags+=y"),
		claimed(t, 2, b, "name:text=old", "created=2025-01-02T03:04:05Z", "host:text=h"),
		claimed(t, 3, a, "name:text=mine", "created=2036-01-02T03:04:05Z", "files=99", "size=99B", "tags+=z"),
		claimed(t, 4, a, "name:text=photos", "created=2026-01-02T03:04:05Z", "files=3", "size=10B", "tags+=x"),
		claimed(t, 5, a),
	)
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	peers := slices.Sorted(slices.Values([]string{peerOf(1).String(), peerOf(3).String(), peerOf(4).String(), peerOf(5).String()}))
	got, want := all[0], swarmSnapshot{
		CID: rootOf("a"), Name: "photos", Others: []string{"mine"}, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Files: 3, Bytes: 10, Tags: []string{"x", "y", "z"}, Peers: peers,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s := all[1]; s.CID != rootOf("b") || s.Name != "old" || len(s.Others) > 0 || !slices.Equal(s.Hosts, []string{"h"}) || len(s.Peers) != 1 {
		t.Errorf("%+v", s)
	}
	raw, err := json.Marshal(indexed(claimed(t, 5, a)))
	if want := `[{"cid":"` + a + `","files":0,"bytes":0,"peers":["` + peerOf(5).String() + `"]}]`; err != nil || string(raw) != want {
		t.Errorf("%s, %v, want %s", raw, err, want)
	}
}

// What no node writes counts for nothing, and keeps nothing else from being read.
func TestWhatNoNodeWrites(t *testing.T) {
	a := rootOf("a")
	long := strings.Repeat("n", api.MaxLabel+1)
	chunk := block.New(block.Raw, []byte("a")).ID().String()
	elsewhere := claimed(t, 1, a.String())
	elsewhere.Path = strings.Replace(elsewhere.Path, "snapshots", "snapshots2", 1)
	notItsOwn := claimed(t, 1, a.String())
	notItsOwn.Space = peerOf(2)
	nobodys := claimed(t, 1, a.String())
	nobodys.Space, nobodys.Path = sig.PublicKey{}, "snapshots/"+a.String()
	for name, d := range map[string]api.CatalogDocument{
		"no CID": claimed(t, 1, "x"), "nothing": claimed(t, 1, ""), "a chunk": claimed(t, 1, chunk), "more": claimed(t, 1, a.String()+"/x"),
		"another form of a CID": claimed(t, 1, "B"+strings.ToUpper(a.String()[1:])),
		"another collection":    elsewhere, "another space": notItsOwn, "no space": nobodys,
	} {
		if all := indexed(d); len(all) > 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
	d := claimed(t, 1, a.String(), "name:text="+long, "created:text=now", "files=-1", "size=7", "host=1", "tags+="+long, "tags+=good")
	d.Fields = append(d.Fields,
		api.CatalogField{Name: "name"},
		api.CatalogField{Name: "created", Values: []api.CatalogValue{{Type: api.CatalogTime, Value: json.RawMessage(`"+300000-01-01T00:00:00Z"`)}}},
		api.CatalogField{Name: "files", Values: []api.CatalogValue{{Type: "later", Value: json.RawMessage(`{}`)}}})
	all := indexed(d)
	if len(all) != 1 || all[0].Name != "" || !all[0].Created.IsZero() || all[0].Files != 0 || all[0].Bytes != 0 || all[0].Hosts != nil || !slices.Equal(all[0].Tags, []string{"good"}) {
		t.Errorf("%+v", all)
	}
	many := claimed(t, 1, a.String())
	tags := &many.Fields[len(many.Fields)-1]
	for i := range 2 * api.MaxTags {
		tags.Elements = append(tags.Elements, api.CatalogElement{Name: fmt.Sprint(i)})
	}
	if all := indexed(many); len(all[0].Tags) != api.MaxTags {
		t.Errorf("%d tags", len(all[0].Tags))
	}
}

func TestSnapshotPattern(t *testing.T) {
	s := swarmSnapshot{CID: rootOf("a"), Name: "Photos-2026", Others: []string{"Bilder Äpfel"}, Tags: []string{"stable*", "v1"}}
	cid := s.CID.String()
	for text, want := range map[string]bool{
		"photos": true, "PHOTOS-2": true, "2026": true, "photos2026": false, "äPFEL": true, "V1": true, "table": true,
		cid: true, cid[:12]: true, strings.ToUpper(cid[:12]): true, cid[8:]: false,
		"photos*": true, "*2026": true, "*2025": false, "p*o*6": true, "p*5": false, "photos-????": true, "photos-???": false,
		"?hotos": false, "*": true, "**": true, "hotos*": false, "v?": true, "v*": true, "?": false, "bafyrei*": true, "*äpf?l": true,
		"photos-2026*": true, "photos-2026?": false, "stable?": true,
	} {
		if got := newSnapshotPattern(text).matches(&s); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	long := strings.Repeat("a", api.MaxLabel)
	if newSnapshotPattern(strings.Repeat("a*", 100) + "b").matches(&swarmSnapshot{Name: long}) {
		t.Error("a name without a b matches")
	}
}

func TestResolveName(t *testing.T) {
	docs := []api.CatalogDocument{
		claimed(t, 1, rootOf("one").String(), "name:text=one"),
		claimed(t, 2, rootOf("one").String(), "name:text=uno"),
		claimed(t, 3, rootOf("two").String(), "name:text=two", "created=2026-01-02T03:04:05Z"),
		claimed(t, 4, rootOf("zwei").String(), "name:text=two"),
		claimed(t, 5, rootOf("evil").String(), "name:text=../../etc/passwd"),
		claimed(t, 6, rootOf("red").String(), "name:text=\x1b[31mred"),
	}
	for i := range byte(12) {
		docs = append(docs, claimed(t, 10+i, rootOf(fmt.Sprint(i)).String(), "name:text=many"), claimed(t, 10+i, rootOf("two").String(), "name:text=two"))
	}
	all := indexed(docs...)
	for name, want := range map[string]string{"one": "one", "uno": "one", "../../etc/passwd": "evil", "\x1b[31mred": "red"} {
		if got, err := resolveName(all, name); err != nil || got.CID != rootOf(want) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	for name, want := range map[string]struct {
		code  int
		words []string
	}{
		"none":     {exitcode.NotFound, []string{`the name "none"; "decubectl snapshot find"`, "list --swarm"}},
		"ONE":      {exitcode.NotFound, []string{`but there is "one"`}},
		"on":       {exitcode.NotFound, []string{`"on"`}},
		"\x1b[RED": {exitcode.NotFound, []string{`"\x1b[RED"`}},
		"two": {exitcode.UsageError, []string{
			`"two" is the name of 2 snapshots`, rootOf("two").String() + "  2026-01-", " and 10 more", rootOf("zwei").String() + "  -  kept by " + peerOf(4).String(),
		}},
		"many": {exitcode.UsageError, []string{"12 snapshots", "and 2 more"}},
	} {
		got, err := resolveName(all, name)
		if exitcode.Of(explain(t.Context(), err)) != want.code || got != nil {
			t.Errorf("%q: %+v, %v", name, got, err)
			continue
		}
		for _, words := range want.words {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%q: %v does not say %q", name, err, words)
			}
		}
	}
}

func TestParseRootOrName(t *testing.T) {
	root := rootOf("a").String()
	if got, name, err := parseRootOrName(root); err != nil || got != rootOf("a") || name != "" {
		t.Errorf("%v, %q, %v", got, name, err)
	}
	for _, arg := range []string{"nightly", "a/b", "..", "bafyrei", "a b\n", "12D3KooWAs5X3xDVVd4ddamHVFja3u1PqpW4MWTonbqT4rKa7Poq"} {
		if got, name, err := parseRootOrName(arg); err != nil || got != (block.ID{}) || name != arg {
			t.Errorf("%q: %v, %q, %v", arg, got, name, err)
		}
	}
	for _, arg := range []string{
		"", "\xff", root[:40], root + "a", strings.Repeat("n", api.MaxLabel+1), "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", block.New(block.Raw, nil).ID().String(),
	} {
		_, name, err := parseRootOrName(arg)
		if _, ok := errors.AsType[misuse](err); !ok || name != "" {
			t.Errorf("%q: %q, %v", arg, name, err)
		}
	}
}

// A table is one line for each snapshot, whatever others have written.
func TestListSwarm(t *testing.T) {
	all := indexed(
		claimed(t, 1, rootOf("a").String(), "name:text=two\nlines\x1b[2J", "tags+=red\u202e", "tags+="+strings.Repeat("t", 200)),
		claimed(t, 2, rootOf("a").String(), "name:text="+strings.Repeat("u", 200)),
		claimed(t, 3, rootOf("b").String()),
	)
	var out strings.Builder
	listSwarm(&out, all)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 3 || !strings.Contains(out.String(), `"two\nlines\x1b[2J" (and 1 more)`) || strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("%q", out.String())
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 240 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}
