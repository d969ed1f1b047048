package main

import (
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/bundle"
)

const somePeer = "12D3KooWAs5X3xDVVd4ddamHVFja3u1PqpW4MWTonbqT4rKa7Poq"

func TestParseAssignment(t *testing.T) {
	noon := bundle.InstantValue(time.Date(2026, 1, 2, 12, 0, 0, 5e6, time.UTC))
	set := func(field string, v bundle.Value) bundle.Operation {
		return bundle.Operation{Kind: bundle.Set, Field: field, Value: v}
	}
	for arg, want := range map[string]bundle.Operation{
		// Types that are guessed.
		"f=true":                          set("f", bundle.BoolValue(true)),
		"f=false":                         set("f", bundle.BoolValue(false)),
		"f=True":                          set("f", bundle.TextValue("True")),
		"f=0":                             set("f", bundle.WholeValue(0)),
		"f=-12":                           set("f", bundle.WholeValue(-12)),
		"f=+12":                           set("f", bundle.TextValue("+12")),
		"f=0049":                          set("f", bundle.TextValue("0049")),
		"f=1.50":                          set("f", bundle.NumberValue(1.5)),
		"f=-1e9":                          set("f", bundle.NumberValue(-1e9)),
		"f=1.":                            set("f", bundle.TextValue("1.")),
		"f=0x10":                          set("f", bundle.TextValue("0x10")),
		"f=inf":                           set("f", bundle.TextValue("inf")),
		"f=10GB":                          set("f", bundle.SizeValue(10e9)),
		"f=1.5MiB":                        set("f", bundle.SizeValue(3<<19)),
		"f=9007199254740993B":             set("f", bundle.SizeValue(1<<53+1)),
		"f=7.5kB":                         set("f", bundle.SizeValue(7500)),
		"f=10 GB":                         set("f", bundle.TextValue("10 GB")),
		"f=10G":                           set("f", bundle.TextValue("10G")),
		"f=-10GB":                         set("f", bundle.TextValue("-10GB")),
		"f=2026-01-02T13:00:00.005+01:00": set("f", noon),
		"f=2026-01-02":                    set("f", bundle.TextValue("2026-01-02")),
		"f=":                              set("f", bundle.TextValue("")),
		"f=a=b":                           set("f", bundle.TextValue("a=b")),
		"f=a[b]=c":                        set("f", bundle.TextValue("a[b]=c")),
		"a b-c=d":                         set("a b-c", bundle.TextValue("d")),
		// Types that are forced.
		"f:text=10":                       set("f", bundle.TextValue("10")),
		"f:text=":                         set("f", bundle.TextValue("")),
		"f:number=10":                     set("f", bundle.NumberValue(10)),
		"f:whole=007":                     set("f", bundle.WholeValue(7)),
		"f:bool=true":                     set("f", bundle.BoolValue(true)),
		"f:size=10":                       set("f", bundle.SizeValue(10)),
		"f:size=1kB":                      set("f", bundle.SizeValue(1000)),
		"f:time=2026-01-02T12:00:00.005Z": set("f", noon),
		"dc:title:text=x":                 set("dc:title", bundle.TextValue("x")),
		// Sets, maps and counters.
		"f+=x":         {Kind: bundle.Add, Field: "f", Element: "x"},
		"f+=10":        {Kind: bundle.Add, Field: "f", Element: "10"},
		"f-=x=y":       {Kind: bundle.Remove, Field: "f", Element: "x=y"},
		"f[k]=10":      {Kind: bundle.Add, Field: "f", Element: "k", Value: bundle.WholeValue(10)},
		"f[k]=":        {Kind: bundle.Add, Field: "f", Element: "k", Value: bundle.TextValue("")},
		"f[k]:text=10": {Kind: bundle.Add, Field: "f", Element: "k", Value: bundle.TextValue("10")},
		"f[a=b]=c":     {Kind: bundle.Add, Field: "f", Element: "a=b", Value: bundle.TextValue("c")},
		"f[a[0]]=c":    {Kind: bundle.Add, Field: "f", Element: "a[0]", Value: bundle.TextValue("c")},
		"f++=3":        {Kind: bundle.Count, Field: "f", Value: bundle.WholeValue(3)},
		"f--=3":        {Kind: bundle.Count, Field: "f", Value: bundle.WholeValue(-3)},
	} {
		if got, err := parseAssignment(arg); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", arg, got, err, want)
		}
	}
}

func TestParseAssignmentRefuses(t *testing.T) {
	for arg, want := range map[string]string{
		"":                                   "want FIELD=VALUE",
		"f":                                  "want FIELD=VALUE",
		"=x":                                 "a field of 1 to 256 bytes",
		"+=x":                                "a field of 1 to",
		"f+=":                                "an element of 1 to",
		"f-=":                                "an element of 1 to",
		"f[]=x":                              "an element of 1 to",
		"[k]=x":                              "a field of 1 to",
		"f[k":                                "want FIELD[ENTRY]=VALUE",
		"f[k]":                               "want FIELD[ENTRY]=VALUE",
		"f[k]+=1":                            "want FIELD[ENTRY]=VALUE",
		"f++=":                               "want a whole number from 1 to 9007199254740992",
		"f++=-1":                             "want a whole number from 1",
		"f--=0":                              "want a whole number from 1",
		"f++=9007199254740993":               "want a whole number from 1",
		"f:blob=x":                           `no type "blob": want text, number`,
		"f:=x":                               `no type "": want text`,
		"f:bool=yes":                         "want true or false",
		"f:whole=1.5":                        "want a whole number",
		"f:number=nan":                       "want a number such as",
		"f:number=":                          "want a number such as",
		"f:size=big":                         "want a number of bytes",
		"f:size=-1":                          "want a number of bytes",
		"f:time=today":                       "want a time such as",
		"f:time=2026-01-02":                  "want a time such as",
		"f=9223372036854775808":              "or FIELD:text=VALUE for a text",
		"f=1e999":                            "or FIELD:text=VALUE",
		"f=8EiB":                             "below 8 EiB",
		"f=\xff":                             "want UTF-8",
		"f\x00=a":                            "want UTF-8",
		strings.Repeat("f", 257) + "=x":      "a field of 1 to 256",
		"f=" + strings.Repeat("v", 32<<10+1): "a text of at most 32768",
	} {
		got, err := parseAssignment(arg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q was taken for %.80v, %.300v; want %s", arg, got, err, want)
		}
	}
}

// What is read has a place in a bundle, and a value that is written out with its type is read as
// the same one.
func FuzzParseAssignment(f *testing.F) {
	for _, arg := range []string{"f=1.5", "f:size=1.5GiB", "f[a]b]:text=x", "f++=1", "f--=1", "f=2026-01-02T12:00:00Z", "f:time=0000-01-01T00:00:00+01:00", "f-=x", "=[", "f=-0.0"} {
		f.Add(arg)
	}
	forced := map[bundle.Type]string{
		bundle.Text: "text", bundle.Number: "number", bundle.Whole: "whole", bundle.Bool: "bool", bundle.Size: "size", bundle.Instant: "time",
	}
	f.Fuzz(func(t *testing.T, arg string) {
		o, err := parseAssignment(arg)
		if err != nil {
			return
		}
		op := catalogOperation(&o)
		o.Document = "collection/key"
		if !o.Known() || op.Op == "" {
			t.Fatalf("%q: %+v", arg, o)
		}
		if o.Kind != bundle.Set {
			return
		}
		again, err := parseAssignment("f:" + forced[o.Value.Type()] + "=" + o.Value.String())
		if err != nil || again.Value != o.Value {
			t.Fatalf("%q: %v, and then %v, %v", arg, o.Value, again.Value, err)
		}
		if v, err := op.Value.Decode(); err != nil || v != o.Value {
			t.Fatalf("%q: %v, and in the API %v, %v", arg, o.Value, v, err)
		}
	})
}

func TestParseDocumentPath(t *testing.T) {
	for arg, want := range map[string]client.CatalogPath{
		"notes/a":                       {Collection: "notes", Key: "a"},
		"notes/a/b/":                    {Collection: "notes", Key: "a/b/"},
		"notes//":                       {Collection: "notes", Key: "/"},
		"~" + somePeer + "/notes/a~b/c": {Space: somePeer, Collection: "notes", Key: "a~b/c"},
	} {
		got, err := parseDocumentPath(arg)
		if err != nil || got != want || got.String() != arg {
			t.Errorf("%s: %+v, %v, want %+v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "notes", "notes/", "/a", "~", "~/notes/a", "~nobody/notes/a", "~" + somePeer, "~" + somePeer + "/notes", "~" + somePeer + "/~x/a", "\xff/a", "a/" + strings.Repeat("k", bundle.MaxPath)} {
		if got, err := parseDocumentPath(arg); err == nil {
			t.Errorf("%.80q was taken for %+v", arg, got)
		}
	}
}

func TestParseCollection(t *testing.T) {
	for arg, want := range map[string][2]string{
		"notes":                   {"", "notes"},
		"~" + somePeer:            {somePeer, ""},
		"~" + somePeer + "/":      {somePeer, ""},
		"~" + somePeer + "/notes": {somePeer, "notes"},
	} {
		if space, collection, err := parseCollection(arg); err != nil || space != want[0] || collection != want[1] {
			t.Errorf("%s: %q %q, %v", arg, space, collection, err)
		}
	}
	for _, arg := range []string{"", "notes/a", "/", "~", "~nobody", "~" + somePeer + "/notes/a", "~" + somePeer + "/~x", "\xff"} {
		if space, collection, err := parseCollection(arg); err == nil {
			t.Errorf("%q was taken for %q %q", arg, space, collection)
		}
	}
}
