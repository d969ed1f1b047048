package query_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/query"
)

// doc is a document in memory.
type doc struct {
	path, space string
	time        time.Time
	values      map[string][]bundle.Value
	elements    map[string]map[string]bundle.Value
	sums        map[string]int64
}

func (d *doc) Path() string                   { return d.path }
func (d *doc) Space() string                  { return d.space }
func (d *doc) Time() bundle.Value             { return bundle.InstantValue(d.time) }
func (d *doc) Values(f string) []bundle.Value { return d.values[f] }

func (d *doc) At(f, e string) []bundle.Value {
	if v, ok := d.elements[f][e]; ok && v.Type() != bundle.None {
		return []bundle.Value{v}
	}
	return nil
}

func (d *doc) Has(f, e string) bool {
	_, ok := d.elements[f][e]
	return ok
}

func (d *doc) Elements(f string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for e := range d.elements[f] {
			if !yield(e) {
				return
			}
		}
	}
}

func (d *doc) Sum(f string) (int64, bool) {
	n, ok := d.sums[f]
	return n, ok
}

func sample() *doc {
	return &doc{
		path: "images/go/1.26", space: "peer", time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		values: map[string][]bundle.Value{
			"name": {bundle.TextValue("prod-1"), bundle.TextValue("other")}, "cluster": {bundle.TextValue("a")}, "size": {bundle.SizeValue(2 << 30)},
			"load": {bundle.NumberValue(0.5)}, "done": {bundle.BoolValue(true)}, "count": {bundle.WholeValue(7)}, "big": {bundle.WholeValue(1<<62 + 1)},
			"made": {bundle.InstantValue(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC))}, "odd name": {bundle.TextValue("x")}, "code": {bundle.TextValue("12")},
		},
		elements: map[string]map[string]bundle.Value{"tags": {"new": {}, "nightly": {}}, "env": {"LANG": bundle.TextValue("C"), "CPUS": bundle.WholeValue(2)}},
		sums:     map[string]int64{"times": 3},
	}
}

func TestWhatMatches(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  ": true,
		`cluster = "a" AND size > 1GB AND NOT tags:old AND name = prod-*`: true,
		`name = prod-1`: true, `name = other`: false, `name = prod-?`: true, `name = "prod-*"`: false, `name != x*`: true,
		`size >= 2GiB size <= 2147483648`: true, `size = 2147483648.0`: true, `size < 2e9`: false, `size > -1`: true,
		`load > 0`: true, `load = 0.5`: true, `count = 7.0`: true, `big = 4611686018427387905`: true, `big = 4611686018427387904`: false, `big > 4611686018427387904`: true,
		`done = true`: true, `done != false`: true, `done = false`: false,
		`made = 2026-01-02T15:04:05Z`: true, `made > 2026-01-02`: true, `made < 2026-01-02`: false,
		`tags:new`: true, `tags:n*`: true, `tags:x*`: false, `NOT tags:new`: false, `tags:new AND (tags:old OR tags:nightly)`: true,
		`env[LANG] = C`: true, `env[CPUS] > 1`: true, `env[NONE] = 1`: false, `env:LANG`: true, `env[LANG] = *`: true,
		`times = 3`: true, `times < 3`: false,
		`none = 1`: false, `none != 1`: true, `none = *`: false, `none != *`: true, `name = *`: true, `tags = *`: true,
		`cluster = b OR cluster = a AND size > 1`: true, `(cluster = b OR cluster = a) AND size < 1`: false, `NOT NOT cluster = a`: true, `NOT (cluster = a OR cluster = b)`: false,
		`"odd name" = x`: true, `code = "12"`: true, `code = 12`: false, `cluster < b`: true,
		`@key = go/*`: true, `@path = images/*`: true, `@space = peer`: true, `@time > 2026-01-31`: true, `@time > 2026-02-01`: false,
		`name = "a \" and \\"`: false,
	} {
		q, err := query.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := q.Matches(sample()); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestWhatIsNoQuery(t *testing.T) {
	for text, want := range map[string]struct {
		column int
		said   string
	}{
		`size >`:                           {7, "want a value after >"},
		`size > 1GB AND`:                   {15, "want the name of a field"},
		`(size > 1`:                        {10, "want ) for the ( in column 1"},
		`size > 1)`:                        {9, "want AND, OR or the end"},
		`size 1`:                           {6, "want =, !=, <, >, <=, >= or :"},
		`= 1`:                              {1, "want the name of a field"},
		`name = "x`:                        {8, "does not end"},
		`name = "\x"`:                      {10, `want \" or \\`},
		`name > prod-*`:                    {8, "wildcard"},
		`!name = x`:                        {1, "want !="},
		`@x = 1`:                           {1, "want @key"},
		`env[ = 1`:                         {6, "want the name of an entry"},
		`env[a = 1`:                        {7, "want ]"},
		`n = 9999999999999999999999`:       {5, "too large for a whole number"},
		`é = ü AND ß >`:                    {14, "want a value"},
		"a = \xff":                         {5, "not UTF-8"},
		`@key:x`:                           {5, "want ="},
		`OR a = 1`:                         {1, "want the name of a field"},
		strings.Repeat("(", 100) + "a = 1": {66, "at most 64"},
		strings.Repeat("x", 5000):          {1, "at most 4096"},
	} {
		_, err := query.Parse(text)
		var at *query.Error
		if !errors.As(err, &at) || !errors.Is(err, query.ErrInvalid) || at.Column != want.column || !strings.Contains(at.Said, want.said) {
			t.Errorf("%.40s: %v, want column %d: %s", text, err, want.column, want.said)
		}
	}
}

func TestDoubts(t *testing.T) {
	for text, want := range map[string]string{
		`size > 1`: "", `sise > 1`: `column 1: no document that was looked at has a field "sise"`,
		`size > abc`: `column 1: "size" is a size wherever it is, and "abc" is a text`, `cluster = a AND nme = x`: `column 17: no document`,
		`cluster = b AND nme = x`: "", `NOT tags:old`: "", `tgs:old`: "no document", `none = *`: "no document", `name = 1*`: "",
	} {
		q, err := query.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Doubts(); err != nil {
			t.Errorf("%s, of nothing: %v", text, err)
		}
		q.Matches(sample())
		if err := q.Doubts(); want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := []bundle.Value{
			{},
			bundle.TextValue(""), bundle.TextValue("a"), bundle.WholeValue(-1), bundle.WholeValue(2), bundle.NumberValue(1.5), bundle.SizeValue(2),
			bundle.BoolValue(false), bundle.InstantValue(time.Unix(1, 0)), bundle.InstantValue(time.Unix(2, 0)),
		}
		o, err := query.ParseOrder(rapid.SampledFrom([]string{"", "f", "f:asc", "f:desc", "@key", "@time:desc"}).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		var places []query.Place
		for i := range rapid.IntRange(0, 20).Draw(t, "documents") {
			d := &doc{path: fmt.Sprint("c/", i), values: map[string][]bundle.Value{}}
			if v := rapid.SampledFrom(values).Draw(t, "value"); v.Type() != bundle.None {
				d.values["f"] = []bundle.Value{v}
			}
			places = append(places, o.Place(d, d.path))
		}
		slices.SortFunc(places, o.Compare)
		if !slices.IsSortedFunc(places, o.Compare) {
			t.Fatalf("%+v", places)
		}
		for i, p := range places {
			got, err := o.ParseCursor(o.Cursor(p))
			if err != nil || got != p {
				t.Fatalf("%+v is read as %+v, %v", p, got, err)
			}
			if none := p.Value.Type() == bundle.None; o.Field == "f" && none && i+1 < len(places) && places[i+1].Value.Type() != bundle.None {
				t.Fatalf("who does not have the field is before who has: %+v", places)
			}
		}
	})
	for _, text := range []string{"f:up", ":desc", "@x"} {
		if _, err := query.ParseOrder(text); !errors.Is(err, query.ErrInvalid) {
			t.Errorf("order %q: %v", text, err)
		}
	}
	for _, text := range []string{"", "x", "!", query.Order{Field: "g"}.Cursor(query.Place{Path: "a"}), query.Order{Field: "f", Desc: true}.Cursor(query.Place{Path: "a"})} {
		if _, err := (query.Order{Field: "f"}).ParseCursor(text); !errors.Is(err, query.ErrInvalid) {
			t.Errorf("cursor %q: %v", text, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(`cluster = "a" AND size > 1GB AND NOT tags:old AND name = prod-*`)
	f.Add(`(a[b] != c OR @time >= 2026-01-31)`)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := query.Parse(text)
		if err != nil {
			if at := new(query.Error); !errors.As(err, &at) || at.Column < 1 || at.Column > len(text)+1 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		q.Matches(sample())
		_ = q.Doubts()
	})
}
