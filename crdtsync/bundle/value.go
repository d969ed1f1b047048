package bundle

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/decube/decube/internal/wire"
)

// MaxValue is the most bytes of a text.
const MaxValue = 32 << 10

// Type is that of a value. The numbers are those of the encoding.
type Type uint8

// The types.
const (
	None   Type = iota // no value
	Text               // UTF-8
	Number             // an IEEE 754 number of 64 bits that is finite
	Whole              // an integer of 64 bits
	Bool
	Size    // bytes, 0 and more
	Instant // milliseconds since 1970
)

var typeNames = [...]string{None: "none", Text: "text", Number: "number", Whole: "whole number", Bool: "boolean", Size: "size", Instant: "time"}

// String returns the name of the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Value is what a field or an element holds. The zero value is none. Values are comparable,
// and one that is written has one form: == is equality.
type Value struct {
	of   Type
	text string
	bits uint64
}

// TextValue returns a text.
func TextValue(s string) Value { return Value{of: Text, text: s} }

// NumberValue returns a number. That 0 is written with two signs does not make two values.
func NumberValue(f float64) Value { return Value{of: Number, bits: math.Float64bits(f + 0)} }

// WholeValue returns an integer.
func WholeValue(n int64) Value { return Value{of: Whole, bits: uint64(n)} }

// BoolValue returns a boolean.
func BoolValue(b bool) Value {
	if b {
		return Value{of: Bool, bits: 1}
	}
	return Value{of: Bool}
}

// SizeValue returns a number of bytes.
func SizeValue(n int64) Value { return Value{of: Size, bits: uint64(n)} }

// InstantValue returns a time, cut to milliseconds.
func InstantValue(t time.Time) Value { return Value{of: Instant, bits: uint64(t.UnixMilli())} }

// Type returns the type.
func (v Value) Type() Type { return v.of }

// Text returns the text of one, else "".
func (v Value) Text() string { return v.text }

// Number returns the number of one, also of an integer or a size, else 0.
func (v Value) Number() float64 {
	switch v.of {
	case Number:
		return math.Float64frombits(v.bits)
	case Whole, Size:
		return float64(int64(v.bits))
	default:
		return 0
	}
}

// Whole returns the integer of one, of a size, of an instant in milliseconds, or 0.
func (v Value) Whole() int64 {
	if v.of == Whole || v.of == Size || v.of == Instant {
		return int64(v.bits)
	}
	return 0
}

// Bool returns the boolean of one, else false.
func (v Value) Bool() bool { return v.of == Bool && v.bits == 1 }

// String returns the value as text.
func (v Value) String() string {
	switch v.of {
	case Text:
		return v.text
	case Number:
		return strconv.FormatFloat(v.Number(), 'g', -1, 64)
	case Whole, Size:
		return strconv.FormatInt(int64(v.bits), 10)
	case Bool:
		return strconv.FormatBool(v.bits == 1)
	case Instant:
		return time.UnixMilli(int64(v.bits)).UTC().Format(time.RFC3339Nano)
	default:
		return ""
	}
}

// valid reports whether a value is one that is written.
func (v Value) valid() bool {
	switch v.of {
	case None:
		return v == Value{}
	case Text:
		return v.bits == 0 && len(v.text) <= MaxValue && utf8.ValidString(v.text)
	case Number:
		f := math.Float64frombits(v.bits)
		return v.text == "" && !math.IsNaN(f) && !math.IsInf(f, 0) && v.bits != 1<<63
	case Bool:
		return v.text == "" && v.bits <= 1
	case Size:
		return v.text == "" && int64(v.bits) >= 0
	case Whole, Instant:
		return v.text == ""
	}
	return false
}

// append appends the bytes of a value, of which the type is written elsewhere.
func (v Value) append(b []byte) []byte {
	switch v.of {
	case Text:
		return append(b, v.text...)
	case Number:
		return binary.BigEndian.AppendUint64(b, v.bits)
	case Bool:
		return append(b, byte(v.bits))
	case Whole, Size, Instant:
		return binary.AppendVarint(b, int64(v.bits))
	default:
		return b
	}
}

// readValue returns the value of a type that bytes are of, and whether they are of one.
func readValue(of Type, b []byte) (Value, bool) {
	v := Value{of: of}
	switch of {
	case None:
	case Text:
		v.text = string(b)
	case Number:
		if len(b) != 8 {
			return Value{}, false
		}
		v.bits = binary.BigEndian.Uint64(b)
	case Bool:
		if len(b) != 1 {
			return Value{}, false
		}
		v.bits = uint64(b[0])
	case Whole, Size, Instant:
		n, size := binary.Varint(b)
		if size != len(b) || size <= 0 {
			return Value{}, false
		}
		v.bits = uint64(n)
	default:
		return Value{}, false
	}
	return v, v.valid() && len(v.append(nil)) == len(b)
}

// appendText appends a text with its length before it.
func appendText(b []byte, s string) []byte { return wire.AppendFrame(b, []byte(s)) }
