// Package query is the language in which documents of the catalog are asked for. It is pure.
//
//	cluster = "a" AND size > 1GB AND NOT tags:old AND name = prod-*
//
//	expression  = and { "OR" and }
//	and         = not { [ "AND" ] not }
//	not         = "NOT" not | "(" expression ")" | comparison
//	comparison  = field ( "=" | "!=" | ">" | "<" | ">=" | "<=" ) value
//	            | field ":" value                          an element of a set or a map
//	field       = word | quoted | word "[" text "]"        an entry of a map
//	            | "@key" | "@path" | "@space" | "@time"    what is known of the document itself
//	value       = word | quoted
//
// AND, OR and NOT are written in capitals. A quoted text stands between " and ", with \" and \\
// in it, and is a text as it is. A word ends at a space, a parenthesis or an operator; what it
// looks like decides its type (package literal), a date such as 2026-01-31 stands for its first
// moment in UTC, and * and ? in it stand for any characters, and for any one.
//
// # What matches
//
// Of a register the value that is shown is compared; other ones, written without knowledge of
// it, are not. Numbers, whole numbers, sizes and counters are compared with each other, texts by
// their bytes, times with times; = and != also compare booleans. A document without the field
// matches no comparison but !=, which is NOT =. A field with the value * is one that is there.
//
// That a field is in no document that was looked at, or always of another type, is for the caller
// to say: see [Query.Doubts].
package query
