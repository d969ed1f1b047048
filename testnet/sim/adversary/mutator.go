package adversary

import (
	"reflect"

	"github.com/decube/decube/ledger/pbft"
)

// mutator changes one field, at any depth, of a good part of what it sends, and
// signs half of that anew.
type mutator struct{}

func (mutator) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	out := honest(envelopes)
	for i := range out {
		if r.Rand.IntN(3) == 0 {
			m := r.mutate(out[i].Message)
			if r.Rand.IntN(2) == 0 {
				m = r.resign(m)
			}
			out[i].Message = m
		}
	}
	return out
}

// mutate returns a deep copy of a message with one field changed.
func (r *Replica) mutate(m pbft.Message) pbft.Message {
	c := deepCopy(reflect.ValueOf(m))
	var fields []reflect.Value
	leaves(c, &fields)
	f := fields[r.Rand.IntN(len(fields))]
	switch f.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.SetUint(r.number(f.Uint()))
	case reflect.Int64:
		f.SetInt(int64(r.number(uint64(f.Int()))))
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Array:
		f.Index(r.Rand.IntN(f.Len())).SetUint(r.Rand.Uint64N(256))
	case reflect.Slice:
		r.shorten(f)
	default:
	}
	changed, _ := reflect.TypeAssert[pbft.Message](c)
	return changed
}

// number returns another number: near, or anywhere.
func (r *Replica) number(n uint64) uint64 {
	switch r.Rand.IntN(4) {
	case 0:
		return n + 1
	case 1:
		return n - 1
	case 2:
		return 0
	default:
		return r.Rand.Uint64() >> r.Rand.UintN(64)
	}
}

// shorten drops or doubles an element.
func (r *Replica) shorten(f reflect.Value) {
	if f.Len() == 0 {
		return
	}
	at := r.Rand.IntN(f.Len())
	if r.Rand.IntN(2) == 0 {
		f.Set(reflect.Append(f, f.Index(at)))
		return
	}
	f.Set(reflect.AppendSlice(f.Slice3(0, at, at), f.Slice(at+1, f.Len())))
}

func deepCopy(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			c.Set(deepCopy(v.Elem()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			c.Set(reflect.New(v.Type().Elem()))
			c.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Slice:
		for i := range v.Len() {
			c = reflect.Append(c, deepCopy(v.Index(i)))
		}
	case reflect.Struct:
		c.Set(v)
		for i := range v.NumField() {
			c.Field(i).Set(deepCopy(v.Field(i)))
		}
	default:
		c.Set(v)
	}
	return c
}

// leaves gathers the fields that can be changed.
func leaves(v reflect.Value, out *[]reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			leaves(v.Elem(), out)
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			leaves(f, out)
		}
	case reflect.Slice:
		*out = append(*out, v)
		for i := range v.Len() {
			leaves(v.Index(i), out)
		}
	default:
		*out = append(*out, v)
	}
}
