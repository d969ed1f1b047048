package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/literal"
	"github.com/decube/decube/internal/sig"
)

// This file reads the arguments of the catalog's commands. It is pure.

// assignmentForms is what an assignment can look like.
const assignmentForms = "FIELD=VALUE, FIELD:TYPE=VALUE, FIELD[ENTRY]=VALUE, FIELD+=ELEMENT, FIELD-=ELEMENT, FIELD++=NUMBER or FIELD--=NUMBER"

// parseDocumentPath reads COLLECTION/KEY, with ~KEY/ before it for the space of one peer.
func parseDocumentPath(arg string) (client.CatalogPath, error) {
	p := client.CatalogPath{}
	rest, err := cutSpace(arg, &p.Space)
	if err != nil {
		return p, err
	}
	p.Collection, p.Key, _ = strings.Cut(rest, "/")
	if o := (bundle.Operation{Kind: bundle.Delete, Document: arg}); !o.Known() || p.Collection == "" {
		return p, usageError("%q is no path of a document: want COLLECTION/KEY or ~PEER/COLLECTION/KEY, UTF-8 of at most %d bytes", arg, bundle.MaxPath)
	}
	return p, nil
}

// parseCollection reads COLLECTION, ~KEY/COLLECTION or ~KEY.
func parseCollection(arg string) (space, collection string, err error) {
	collection, err = cutSpace(arg, &space)
	if err != nil {
		return "", "", err
	}
	if space == "" || collection != "" {
		o := bundle.Operation{Kind: bundle.Delete, Document: collection + "/key"}
		if !o.Known() || strings.Contains(collection, "/") {
			return "", "", usageError("%q is no collection: want COLLECTION, ~PEER/COLLECTION or ~PEER", arg)
		}
	}
	return space, collection, nil
}

// cutSpace cuts the space off a path, and returns what is behind it.
func cutSpace(arg string, space *string) (rest string, err error) {
	after, ok := strings.CutPrefix(arg, "~")
	if !ok {
		return arg, nil
	}
	*space, rest, _ = strings.Cut(after, "/")
	if _, err := sig.ParsePublicKey(*space); err != nil {
		return "", usageError("the space of %q: %w", arg, err)
	}
	return rest, nil
}

// parseAssignment reads one change of a document. The operation names no document yet.
func parseAssignment(arg string) (bundle.Operation, error) {
	o, err := splitAssignment(arg)
	if err != nil {
		return o, usageError("%q: %w", arg, err)
	}
	checked := o
	checked.Document = "collection/key"
	if !checked.Known() {
		return o, usageError("%q: want UTF-8, a field of 1 to %d bytes, an element of 1 to %d, and a text of at most %d", arg, bundle.MaxField, bundle.MaxElement, bundle.MaxValue)
	}
	return o, nil
}

func splitAssignment(arg string) (o bundle.Operation, err error) {
	if open := strings.IndexAny(arg, "[="); open >= 0 && arg[open] == '[' {
		return parseEntry(arg[:open], arg[open+1:])
	}
	left, right, ok := strings.Cut(arg, "=")
	if !ok {
		return o, fmt.Errorf("want %s", assignmentForms)
	}
	if field, ok := strings.CutSuffix(left, "++"); ok {
		return parseCount(field, right, 1)
	}
	if field, ok := strings.CutSuffix(left, "--"); ok {
		return parseCount(field, right, -1)
	}
	if field, ok := strings.CutSuffix(left, "+"); ok {
		return bundle.Operation{Kind: bundle.Add, Field: field, Element: right}, nil
	}
	if field, ok := strings.CutSuffix(left, "-"); ok {
		return bundle.Operation{Kind: bundle.Remove, Field: field, Element: right}, nil
	}
	o = bundle.Operation{Kind: bundle.Set, Field: left}
	of := ""
	if at := strings.LastIndexByte(left, ':'); at >= 0 {
		o.Field, of = left[:at], left[at:]
	}
	o.Value, err = parseTyped(of, right)
	return o, err
}

// parseEntry reads what is behind FIELD[ in an assignment to an entry of a map. The entry ends
// with the first bracket that = or a type comes after.
func parseEntry(field, rest string) (o bundle.Operation, err error) {
	for at := range len(rest) {
		if rest[at] != ']' {
			continue
		}
		of, value, ok := strings.Cut(rest[at+1:], "=")
		if !ok || of != "" && of[0] != ':' {
			continue
		}
		o = bundle.Operation{Kind: bundle.Add, Field: field, Element: rest[:at]}
		o.Value, err = parseTyped(of, value)
		return o, err
	}
	return o, fmt.Errorf("want FIELD[ENTRY]=VALUE or FIELD[ENTRY]:TYPE=VALUE")
}

// parseCount reads an amount.
func parseCount(field, text string, sign int64) (bundle.Operation, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > bundle.MaxAmount {
		return bundle.Operation{}, fmt.Errorf("%q is no amount: want a whole number from 1 to %d", text, bundle.MaxAmount)
	}
	return bundle.Operation{Kind: bundle.Count, Field: field, Value: bundle.WholeValue(sign * n)}, nil
}

// valueTypes are the types of values that a colon stands before.
var valueTypes = []struct {
	name string
	of   bundle.Type
	want string
}{
	{"text", bundle.Text, "a text"},
	{"number", bundle.Number, "a number such as 1.5 or 2e9"},
	{"whole", bundle.Whole, "a whole number of 64 bits"},
	{"bool", bundle.Bool, "true or false"},
	{"size", bundle.Size, "a number of bytes such as 1048576, 512MiB or 100GB, below 8 EiB"},
	{"time", bundle.Instant, "a time such as 2026-01-02T15:04:05Z"},
}

// parseTyped reads a value of the type that is forced, such as :text, or guesses it where that
// is empty.
func parseTyped(forced, text string) (bundle.Value, error) {
	guessed := literal.Guess(text)
	for _, t := range valueTypes {
		if forced == "" && t.of != guessed || forced != "" && t.name != forced[1:] {
			continue
		}
		v, ok := literal.Read(t.of, text)
		if !ok {
			return v, fmt.Errorf("%q is no %s: want %s, or FIELD:text=VALUE for a text", text, t.name, t.want)
		}
		return v, nil
	}
	return bundle.Value{}, fmt.Errorf("there is no type %q: want text, number, whole, bool, size or time before the =, also where the field's name holds a colon", forced[1:])
}
