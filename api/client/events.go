package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/decube/decube/api"
)

// maxEvent bounds a line of a stream of events.
const maxEvent = 8 << 20

// stream asks for an operation that answers with events. Each progress or item is
// decoded into a P for report, which may be nil; the result is returned.
func stream[P, R any](ctx context.Context, c *Client, method, path string, in any, report func(P)) (R, error) {
	var result R
	res, err := c.request(ctx, method, path, in)
	if err != nil {
		return result, err
	}
	defer res.Body.Close()
	done := false
	err = readEvents(res.Body, func(event string, data []byte) error {
		switch event {
		case api.EventProgress, api.EventItem:
			var p P
			if err := json.Unmarshal(data, &p); err != nil {
				return fmt.Errorf("decoding a %s event: %w", event, err)
			}
			if report != nil {
				report(p)
			}
		case api.EventResult:
			done = true
			return json.Unmarshal(data, &result)
		case api.EventError:
			p := new(api.Problem)
			if err := json.Unmarshal(data, p); err != nil {
				return fmt.Errorf("decoding a problem: %w", err)
			}
			return p
		}
		return nil
	})
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return result, p
	case err != nil:
		return result, c.failed(ctx, "following", err)
	case !done:
		return result, fmt.Errorf("%w: the daemon at %s stopped before it was done with %s", api.ErrUnreachable, c.where, path)
	}
	return result, nil
}

// readEvents calls f for every server-sent event until the end of r.
func readEvents(r io.Reader, f func(event string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxEvent)
	var event string
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0:
			if data != nil {
				if err := f(event, data); err != nil {
					return err
				}
			}
			event, data = "", nil
		case string(field) == "event":
			event = string(value)
		case string(field) == "data":
			data = append(data, value...)
		}
	}
	return lines.Err()
}

func get(ctx context.Context, c *Client, path string, out any) error {
	return c.call(ctx, http.MethodGet, api.Prefix+path, nil, out)
}
