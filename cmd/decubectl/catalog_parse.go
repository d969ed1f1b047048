package main

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/bundle"
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

// valueTypes are the types of values that a colon stands before, and how each is read.
var valueTypes = []struct {
	name string
	want string
	read func(text string) (bundle.Value, bool)
}{
	{"text", "a text", func(text string) (bundle.Value, bool) { return bundle.TextValue(text), true }},
	{"number", "a number such as 1.5 or 2e9", readNumber},
	{"whole", "a whole number of 64 bits", readWhole},
	{"bool", "true or false", readBool},
	{"size", "a number of bytes such as 1048576, 512MiB or 100GB, below 8 EiB", readSize},
	{"time", "a time such as 2026-01-02T15:04:05Z", readTime},
}

// parseTyped reads a value of the type that is forced, such as :text, or guesses it where that
// is empty.
func parseTyped(forced, text string) (bundle.Value, error) {
	if forced == "" {
		forced = ":" + guessType(text)
	}
	for _, t := range valueTypes {
		if t.name != forced[1:] {
			continue
		}
		v, ok := t.read(text)
		if !ok {
			return v, fmt.Errorf("%q is no %s: want %s, or FIELD:text=VALUE for a text", text, t.name, t.want)
		}
		return v, nil
	}
	return bundle.Value{}, fmt.Errorf("there is no type %q: want text, number, whole, bool, size or time before the =, also where the field's name holds a colon", forced[1:])
}

// The forms that are guessed. A number that begins with zeros is a text: it is a code, and the
// zeros matter.
var (
	wholeForm  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	sizeForm   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(B|[kKMGTPE]B|[KMGTPE]iB)$`)
)

// guessType returns the type that a text looks like.
func guessType(text string) string {
	switch {
	case text == "true", text == "false":
		return "bool"
	case wholeForm.MatchString(text):
		return "whole"
	case numberForm.MatchString(text):
		return "number"
	case sizeForm.MatchString(text):
		return "size"
	}
	if _, ok := readTime(text); ok {
		return "time"
	}
	return "text"
}

func readNumber(text string) (bundle.Value, bool) {
	f, err := strconv.ParseFloat(text, 64)
	return bundle.NumberValue(f), err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

func readWhole(text string) (bundle.Value, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return bundle.WholeValue(n), err == nil
}

func readBool(text string) (bundle.Value, bool) {
	return bundle.BoolValue(text == "true"), text == "true" || text == "false"
}

// readSize reads a number of bytes, with a unit or none. What is less than a byte is cut off.
func readSize(text string) (bundle.Value, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return bundle.SizeValue(n), n >= 0
	}
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return bundle.Value{}, false
	}
	n, ok := new(big.Rat).SetString(parts[1])
	if !ok {
		return bundle.Value{}, false
	}
	unit, base := parts[2], int64(1000)
	if strings.HasSuffix(unit, "iB") {
		base = 1024
	}
	if power := slices.Index([]byte("BKMGTPE"), strings.ToUpper(unit)[0]); power > 0 {
		factor := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil)
		n.Mul(n, new(big.Rat).SetInt(factor))
	}
	whole := new(big.Int).Quo(n.Num(), n.Denom())
	return bundle.SizeValue(whole.Int64()), whole.IsInt64()
}

// readTime reads a time of RFC 3339 that is one in UTC too.
func readTime(text string) (bundle.Value, bool) {
	t, err := time.Parse(time.RFC3339, text)
	year := t.UTC().Year()
	return bundle.InstantValue(t), err == nil && year >= 0 && year <= 9999
}
