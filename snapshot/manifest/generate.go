package manifest

//go:generate go run ./gen
