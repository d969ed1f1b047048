package receipt_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/receipt"
)

// mutation is one change of a value.
type mutation struct {
	path string
	do   func()
}

// mutations returns changes of every leaf of v, which is addressable: of each
// number and text, of some bytes of each array, of each pointer, and of each list
// one entry less, one more, and two in the other order.
func mutations(v reflect.Value, path string) []mutation {
	set := func(what string, value any) mutation {
		return mutation{path + what, func() { v.Set(reflect.ValueOf(value).Convert(v.Type())) }}
	}
	null := mutation{path + "=nil", func() { v.SetZero() }}
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return []mutation{set("+1", v.Uint()+1), set("^top", v.Uint()^1<<(v.Type().Bits()-1))}
	case reflect.Int64:
		return []mutation{set("+1", v.Int()+1), set("-1", v.Int()-1)}
	case reflect.String:
		return []mutation{set("+x", v.String()+"x")}
	case reflect.Array:
		var out []mutation
		for i := 0; i < v.Len(); i += 7 {
			out = append(out, mutations(v.Index(i), fmt.Sprintf("%s[%d]", path, i))[0])
		}
		return out
	case reflect.Slice:
		return listMutations(v, path)
	case reflect.Struct:
		var out []mutation
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				out = append(out, mutations(v.Field(i), path+"."+f.Name)...)
			}
		}
		return out
	case reflect.Pointer:
		return append(mutations(v.Elem(), path), null)
	case reflect.Interface:
		inner := reflect.New(v.Elem().Type()).Elem()
		inner.Set(v.Elem())
		out := []mutation{null}
		for _, m := range mutations(inner, path) {
			out = append(out, mutation{m.path, func() { m.do(); v.Set(inner) }})
		}
		return out
	default:
		panic(fmt.Sprintf("%s: no mutation for %v", path, v.Type()))
	}
}

func listMutations(v reflect.Value, path string) []mutation {
	n := v.Len()
	out := []mutation{{path + "+zero", func() { v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem()))) }}}
	if n > 0 {
		out = append(out,
			mutation{path + "-last", func() { v.Set(v.Slice(0, n-1)) }},
			mutation{path + "-first", func() { v.Set(v.Slice(1, n)) }},
			mutation{path + "+last", func() { v.Set(reflect.Append(v, v.Index(n-1))) }},
		)
	}
	if n > 1 {
		out = append(out, mutation{path + " swapped", func() { reflect.Swapper(v.Interface())(0, n-1) }})
	}
	for i := range n {
		out = append(out, mutations(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
	}
	return out
}

// No part of a receipt can be changed: neither alone, nor together with all that
// follows from it without a key, nor on the way through a file.
func TestEveryMutationFails(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	verified := func(r *receipt.Receipt) bool {
		_, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs)
		return err == nil
	}
	good := w.receipt(8, 2)
	if !verified(good) {
		t.Fatal("it does not verify unchanged")
	}
	n := len(mutations(reflect.ValueOf(good).Elem(), ""))
	if n < 400 {
		t.Fatalf("only %d mutations", n)
	}
	for i := range n {
		r := w.receipt(8, 2)
		m := mutations(reflect.ValueOf(r).Elem(), "")[i]
		m.do()
		if verified(r) {
			t.Errorf("%s: verified", m.path)
		}
		if data, err := r.Encode(); err == nil {
			if back, err := receipt.Decode(data); err == nil && verified(back) {
				t.Errorf("%s: verified after it was written", m.path)
			}
		}
		repair(r)
		if !reflect.DeepEqual(r, good) && verified(r) {
			t.Errorf("%s: verified with certificates to match", m.path)
		}
	}
	t.Logf("%d mutations", n)
}

// No byte of a file can be changed, left out or put in.
func TestEveryChangedByteFails(t *testing.T) {
	w := newWorld(t, "test", 4)
	r := w.receipt(2, 1)
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded := 0
	try := func(what string, at int, changed []byte) {
		back, err := receipt.Decode(changed)
		if err != nil {
			return
		}
		decoded++
		if reflect.DeepEqual(back, r) {
			t.Errorf("%s at %d: another file of the same receipt", what, at)
		}
		if _, err := receipt.Verify(back, receipt.FromGenesis(w.g), sigs); err == nil {
			t.Errorf("%s at %d: verified", what, at)
		}
	}
	changed := make([]byte, len(data)+1)
	for i := range data {
		for _, mask := range []byte{0x01, 0x02, 0x10, 0x20, 0x80} {
			copy(changed, data)
			changed[i] ^= mask
			try(fmt.Sprintf("byte ^ %#x", mask), i, changed[:len(data)])
		}
		copy(changed, data[:i])
		copy(changed[i:], data[i+1:])
		try("a byte less", i, changed[:len(data)-1])
		for _, c := range []byte(" 0") {
			copy(changed, data[:i])
			changed[i] = c
			copy(changed[i+1:], data[i:])
			try(fmt.Sprintf("%q put in", c), i, changed)
		}
	}
	if decoded < 500 {
		t.Errorf("only %d of the changes got as far as to be verified", decoded)
	}
	t.Logf("%d bytes, %d changes still were receipts", len(data), decoded)
}
