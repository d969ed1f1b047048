package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// summary is what programs read.
type summary struct {
	Runs  int       `json:"runs"`
	Found []finding `json:"found"`
}

// finding is a run that broke a rule.
type finding struct {
	Profile string `json:"profile"`
	Seed    uint64 `json:"seed"`
	Rule    string `json:"rule"`
	What    string `json:"what"`
}

// write writes the findings in the order of their seeds: in which order runs end is
// chance when there are several workers.
func (s *summary) write(w io.Writer) error {
	slices.SortStableFunc(s.Found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Profile, b.Profile))
	})
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}
