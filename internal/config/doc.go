// Package config loads settings in layers: a flag wins over an environment
// variable, that over the file, that over the default.
//
//	defaults (a struct) <- config.yaml <- DECUBE_SECTION_KEY <- --flag
//
// A program describes its settings with a struct whose nested structs are the
// file's sections; the values it holds when [Load] is called are the defaults.
// A field's key is its name in snake case, or its `yaml:"name"` tag. Fields may
// be strings, booleans, numbers, durations, sizes, lists and text unmarshalers.
//
// A field of type int64 counts bytes, by convention: it is written as a number
// or with a unit, such as 512MiB or 100G. A time.Duration is written as 1m30s.
//
// The file is read strictly: a key that no field has, a key given twice or a
// value of the wrong type is an error that names line, key and the nearest
// valid key. A struct at any level may have a Validate() error method; what it
// returns is reported with the place the value came from.
package config
