package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxRetention is the longest that can be promised, so that a slip shows.
const maxRetention = 100 * 365 * day

const day = 24 * time.Hour

const retainUsage = "promise to retain it for so `LONG`, such as 90d, 2w, 1y or 36h, or until a date such as 2030-12-31"

// parseRetention returns until when something is to be retained, in Unix seconds;
// an empty text promises nothing and is 0.
func parseRetention(text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	until, err := retention(text, now)
	if err != nil {
		return 0, err
	}
	if left := until.Sub(now); left <= 0 || left > maxRetention {
		return 0, fmt.Errorf("%q ends at %s, want a time to come within 100 years", text, until.Format(time.DateOnly))
	}
	return until.Unix(), nil
}

func retention(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if until, err := time.Parse(layout, text); err == nil {
			return until, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	for unit, days := range map[string]int{"d": 1, "w": 7, "y": 365} { // at most one fits
		if digits, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
				return now.AddDate(0, 0, int(n)*days), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a length such as 90d, 2w, 1y or 36h nor a date such as 2030-12-31", text)
}
