package main

import (
	"encoding/json"
	"testing"
	"time"
)

// A file can be of any year, and a list of files in JSON must not end at it.
func TestFileTimeOfAnyYear(t *testing.T) {
	for want, at := range map[string]time.Time{
		`"2026-11-29T13:00:00.000000001Z"`: time.Date(2026, 11, 29, 13, 0, 0, 1, time.UTC),
		`"9999-12-31T23:59:59Z"`:           time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		`"+010000-01-01T00:00:00Z"`:        time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		`"+287168-08-24T16:00:00.5Z"`:      time.Date(287168, 8, 24, 16, 0, 0, 500_000_000, time.UTC),
		`"-000044-03-15T12:00:00Z"`:        time.Date(-44, 3, 15, 12, 0, 0, 0, time.UTC),
	} {
		got, err := json.Marshal(fileTime{at})
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
