package catalogapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/catalogtest"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/catalogapi"
	"github.com/decube/decube/api/server/servertest"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

const photos = api.Prefix + "/catalog/notes/photos"

var (
	own   = sig.FromSeed([sig.SeedSize]byte{'o', 'w', 'n'}).Public()
	other = sig.FromSeed([sig.SeedSize]byte{'o', 't', 'h', 'e', 'r'}).Public()
)

// served returns a server of the operations on a catalog.
func served(t *testing.T, g server.Group) *server.Server {
	t.Helper()
	return servertest.New(t, new(servertest.Node), servertest.Config(), g)
}

// want does a request that is to be answered 200, and returns the answer.
func want[T any](t *testing.T, h http.Handler, method, path, body string) (out T) {
	t.Helper()
	w := servertest.Request(t, h, method, path, body, nil)
	if w.Code != 200 {
		t.Fatalf("%s %s: %d: %s", method, path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
	}
	return out
}

// Every operation and every type of value arrives, and is read as it was written.
func TestDocument(t *testing.T) {
	c := catalogtest.New(sig.PublicKey{})
	h := served(t, catalogapi.Group(c)).Handler()
	written := want[api.CatalogWritten](t, h, "PUT", photos, `{"operations":[
		{"op":"set","field":"text","value":{"type":"text","value":"a\nb"}},
		{"op":"set","field":"number","value":{"type":"number","value":1.5e300}},
		{"op":"set","field":"whole","value":{"type":"whole","value":-9223372036854775808}},
		{"op":"set","field":"bool","value":{"type":"bool","value":true}},
		{"op":"set","field":"size","value":{"type":"size","value":9007199254740993}},
		{"op":"set","field":"time","value":{"type":"time","value":"2026-01-02T03:04:05.678+01:00"}},
		{"op":"set","field":"gone","value":{"type":"text","value":""}},
		{"op":"clear","field":"gone"},
		{"op":"add","field":"tags","element":"blue"},
		{"op":"add","field":"tags","element":"red"},
		{"op":"remove","field":"tags","element":"red"},
		{"op":"add","field":"users","element":"ann","value":{"type":"whole","value":1}},
		{"op":"count","field":"views","amount":5},
		{"op":"count","field":"views","amount":-2}]}`)
	if len(written.Paths) != 1 || written.Paths[0] != "notes/photos" || written.Bundle != strings.Repeat("0", 64) || !written.Time.Equal(catalogtest.Start) {
		t.Errorf("written: %+v", written)
	}
	w := servertest.Request(t, h, "GET", photos, "", nil)
	const document = `[{"path":"notes/photos","time":"2026-01-02T03:04:05Z","fields":[` +
		`{"name":"bool","values":[{"type":"bool","value":true}]},` +
		`{"name":"number","values":[{"type":"number","value":1.5e+300}]},` +
		`{"name":"size","values":[{"type":"size","value":9007199254740993}]},` +
		`{"name":"tags","elements":[{"name":"blue"}]},` +
		`{"name":"text","values":[{"type":"text","value":"a\nb"}]},` +
		`{"name":"time","values":[{"type":"time","value":"2026-01-02T02:04:05.678Z"}]},` +
		`{"name":"users","elements":[{"name":"ann","values":[{"type":"whole","value":1}]}]},` +
		`{"name":"views","sum":3},` +
		`{"name":"whole","values":[{"type":"whole","value":-9223372036854775808}]}]}]`
	if got := strings.TrimSpace(w.Body.String()); got != document {
		t.Errorf("got\n%s\nwant\n%s", got, document)
	}
	want[api.CatalogWritten](t, h, "DELETE", photos, "")
	servertest.WantProblem(t, servertest.Request(t, h, "GET", photos, "", nil), 404, api.CodeNotFound)
}

// A path without a space is in all spaces for who reads, and in the node's own for who writes.
func TestSpaces(t *testing.T) {
	c := catalogtest.New(own)
	c.Put(crdtsync.Document{Path: capability.Space(other) + "notes/photos", Space: other, Fields: []crdtsync.Field{{Name: "x"}}})
	h := served(t, catalogapi.Group(c)).Handler()
	const set = `{"operations":[{"op":"count","field":"x","amount":1}]}`
	if got := want[api.CatalogWritten](t, h, "PUT", photos, set); got.Paths[0] != capability.Space(own)+"notes/photos" {
		t.Errorf("written: %+v", got)
	}
	if got := want[[]api.CatalogDocument](t, h, "GET", photos, ""); len(got) != 2 {
		t.Errorf("all spaces: %+v", got)
	}
	got := want[[]api.CatalogDocument](t, h, "GET", photos+"?space="+other.String(), "")
	if len(got) != 1 || got[0].Space != other || got[0].Path != capability.Space(other)+"notes/photos" {
		t.Errorf("one space: %+v", got)
	}
	if got := want[[]api.CatalogDocument](t, h, "GET", api.Prefix+"/catalog?space="+own.String(), ""); len(got) != 1 || got[0].Space != own {
		t.Errorf("list of one space: %+v", got)
	}
	servertest.WantProblem(t, servertest.Request(t, h, "PUT", photos+"?space="+other.String(), set, nil), 403, api.CodeForbidden)
}

func TestRefused(t *testing.T) {
	h := served(t, catalogapi.Group(catalogtest.New(sig.PublicKey{}))).Handler()
	for _, tc := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", photos + "?space=nobody", "", 400},
		{"GET", api.Prefix + "/catalog/~" + own.String() + "/notes%2Fphotos", "", 400},
		{"GET", api.Prefix + "/catalog/no%2Ftes/photos", "", 400},
		{"GET", api.Prefix + "/catalog?limit=0", "", 422},
		{"GET", api.Prefix + "/catalog?limit=1001", "", 422},
		{"GET", api.Prefix + "/catalog?collection=~" + own.String(), "", 400},
		{"DELETE", api.Prefix + "/catalog/notes/" + strings.Repeat("k", 1025), "", 422},
		{"DELETE", api.Prefix + "/catalog/notes/" + strings.Repeat("k", 1024), "", 400},
		{"PUT", photos, `{"operations":[]}`, 422},
		{"PUT", photos, `{"operations":[{"op":"delete","field":"x"}]}`, 422},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x"}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","amount":1}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"text","value":"y"},"element":"z"}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"text","value":1}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"text","value":null}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"number","value":1e999}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"whole","value":1.5}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"bool","value":"true"}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"size","value":-1}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"time","value":"today"}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"set","field":"x","value":{"type":"blob","value":"y"}}]}`, 422},
		{"PUT", photos, `{"operations":[{"op":"add","field":"x"}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"count","field":"x","amount":0}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"count","field":"x","amount":9007199254740993}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"count","field":"x","amount":1,"value":{"type":"whole","value":1}}]}`, 400},
		{"PUT", photos, `{"operations":[{"op":"clear","field":"` + strings.Repeat("ä", 200) + `"}]}`, 400},
	} {
		t.Run(fmt.Sprintf("%s %.80s %.80s", tc.method, tc.path, tc.body), func(t *testing.T) {
			servertest.WantProblem(t, servertest.Request(t, h, tc.method, tc.path, tc.body, nil), tc.status, api.CodeInvalid)
		})
	}
	large := `{"operations":[{"op":"clear","field":"` + strings.Repeat("x", 1<<20) + `"}]}`
	servertest.WantProblem(t, servertest.Request(t, h, "PUT", photos, large, nil), 413, api.CodeTooLarge)
}

func TestErrors(t *testing.T) {
	c := catalogtest.New(sig.PublicKey{})
	h := served(t, catalogapi.Group(c)).Handler()
	for err, want := range map[error]struct {
		status int
		code   api.Code
	}{
		crdtsync.ErrNotFound:     {404, api.CodeNotFound},
		crdtsync.ErrInvalid:      {400, api.CodeInvalid},
		crdtsync.ErrDenied:       {403, api.CodeForbidden},
		crdtsync.ErrQuota:        {507, api.CodeNoSpace},
		crdtsync.ErrClosed:       {503, api.CodeUnavailable},
		errors.New("a bad disk"): {500, api.CodeInternal},
	} {
		c.Fail(fmt.Errorf("wrapped: %w", err))
		for _, r := range [][3]string{
			{"GET", photos},
			{"PUT", photos, `{"operations":[{"op":"clear","field":"x"}]}`},
			{"DELETE", photos},
			{"GET", api.Prefix + "/catalog"},
			{"GET", api.Prefix + "/catalog-status"},
		} {
			servertest.WantProblem(t, servertest.Request(t, h, r[0], r[1], r[2], nil), want.status, want.code)
		}
	}
}

// Without a catalog every operation says why there is none.
func TestNone(t *testing.T) {
	for want, g := range map[string]server.Group{
		"no catalog":          catalogapi.None(nil),
		"has no catalog":      catalogapi.Group(nil),
		"the disk was unkind": catalogapi.None(errors.New("the disk was unkind")),
	} {
		h := served(t, g).Handler()
		for _, path := range []string{photos, api.Prefix + "/catalog", api.Prefix + "/catalog-status"} {
			w := servertest.Request(t, h, "GET", path, "", nil)
			servertest.WantProblem(t, w, 503, api.CodeUnavailable)
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s, want %s", w.Body, want)
			}
		}
	}
}

// The client's methods reach the operations, with any key.
func TestClient(t *testing.T) {
	c := catalogtest.New(own)
	c.Peers(crdtsync.Peer{Name: "12D3KooWPeer", InStep: true, Asked: catalogtest.Start}, crdtsync.Peer{Name: "12D3KooWOther", Failed: "hung up"})
	dir, url, _ := servertest.Run(t, served(t, catalogapi.Group(c)))
	d := servertest.Dial(t, dir, url)
	set := []api.CatalogOperation{{Op: api.CatalogSet, Field: "x", Value: new(api.NewCatalogValue(bundle.InstantValue(time.UnixMilli(1))))}}
	for _, key := range []string{"plain", "a/b", "/a//b/", ".", "..", "../..", "a b?c#d%2F", "ü", "~"} {
		path := client.CatalogPath{Collection: "notes", Key: key}
		exact := client.CatalogPath{Space: own.String(), Collection: "notes", Key: key}
		if got, err := d.CatalogPut(t.Context(), path, set); err != nil || got.Paths[0] != exact.String() {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
		for _, p := range []client.CatalogPath{path, exact} {
			got, err := d.CatalogGet(t.Context(), p)
			if err != nil || len(got) != 1 || got[0].Path != exact.String() {
				t.Fatalf("%q: %+v, %v", key, got, err)
			}
			if v, err := got[0].Fields[0].Values[0].Decode(); err != nil || v != bundle.InstantValue(time.UnixMilli(1)) {
				t.Errorf("%q: %v, %v", key, v, err)
			}
		}
	}
	first, err := d.CatalogList(t.Context(), client.CatalogList{Collection: "notes", Limit: 4})
	if err != nil || len(first) != 4 {
		t.Fatalf("list: %+v, %v", first, err)
	}
	rest, err := d.CatalogList(t.Context(), client.CatalogList{Collection: "notes", Space: own.String(), After: first[3].Path})
	if err != nil || len(rest) != 5 || rest[0].Path <= first[3].Path {
		t.Errorf("the rest: %+v, %v", rest, err)
	}
	if none, err := d.CatalogList(t.Context(), client.CatalogList{Collection: "other"}); err != nil || none == nil || len(none) != 0 {
		t.Errorf("an empty list: %+v, %v", none, err)
	}
	st, err := d.CatalogStatus(t.Context())
	if err != nil || st.Documents != 9 || !st.Public || len(st.Peers) != 2 || !st.Peers[0].Asked.Equal(catalogtest.Start) || st.Peers[1].Asked != nil {
		t.Errorf("status: %+v, %v", st, err)
	}
	plain := client.CatalogPath{Collection: "notes", Key: "plain"}
	if _, err := d.CatalogDelete(t.Context(), plain); err != nil {
		t.Error(err)
	}
	if _, err := d.CatalogGet(t.Context(), plain); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func TestQuery(t *testing.T) {
	c := catalogtest.New(own)
	for _, name := range []string{"a", "b", "c"} {
		c.Put(crdtsync.Document{Path: capability.Space(own) + "notes/" + name, Space: own, Time: catalogtest.Start})
	}
	h := served(t, catalogapi.Group(c)).Handler()
	first := want[api.CatalogPage](t, h, "GET", api.Prefix+"/catalog/query?q=size%20%3E%201&collection=notes&limit=2", "")
	if len(first.Documents) != 2 || first.Matched != 3 || first.Looked != 3 || first.Next == "" {
		t.Errorf("%+v", first)
	}
	rest := want[api.CatalogPage](t, h, "GET", api.Prefix+"/catalog/query?collection=notes&limit=2&after="+first.Next, "")
	if len(rest.Documents) != 1 || rest.Next != "" {
		t.Errorf("%+v", rest)
	}
	count := want[api.CatalogPage](t, h, "GET", api.Prefix+"/catalog/query?limit=0", "")
	if len(count.Documents) != 0 || count.Matched != 3 || count.Next != "" {
		t.Errorf("%+v", count)
	}
	for query, said := range map[string]string{"q=size%20%3E": "column 7: want a value", "order=a:up": "want FIELD", "limit=1001": "", "limit=-1": "", "space=x": "space"} {
		w := servertest.Request(t, h, "GET", api.Prefix+"/catalog/query?"+query, "", nil)
		if (w.Code != http.StatusBadRequest && w.Code != http.StatusUnprocessableEntity) || !strings.Contains(w.Body.String(), said) {
			t.Errorf("%s: %d: %s", query, w.Code, w.Body)
		}
	}
}
