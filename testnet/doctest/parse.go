package doctest

import (
	"errors"
	"fmt"
	"strings"
)

const (
	fence    = "```"
	info     = fence + "console doctest"
	prompt   = "$ "
	anything = "..."
)

// ErrSyntax is returned for a block that is not a session.
var ErrSyntax = errors.New("not a console session")

// Step is one command of a session.
type Step struct {
	Line       int      // in the document, from 1
	Command    string   // as for a shell, without the prompt
	Background bool     // whether it was followed by "&"
	Want       []string // lines that it prints
}

// Parse returns the steps of a document's session, none when the document has no
// block that is to be run.
func Parse(document string) ([]Step, error) {
	var steps []Step
	inside, more := false, false
	number := 0
	for line := range strings.Lines(document) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch command, isCommand := strings.CutPrefix(line, prompt); {
		case !inside:
			inside = line == info
		case line == fence:
			inside = false
		case more:
			last := &steps[len(steps)-1]
			last.Command, more = continued(last.Command + " " + strings.TrimSpace(line))
		case isCommand:
			steps = append(steps, Step{Line: number})
			steps[len(steps)-1].Command, more = continued(command)
		case len(steps) == 0:
			return nil, fmt.Errorf("%w: line %d: output before the first command", ErrSyntax, number)
		default:
			last := &steps[len(steps)-1]
			last.Want = append(last.Want, line)
		}
	}
	if inside {
		return nil, fmt.Errorf("%w: the last block has no end", ErrSyntax)
	}
	for i := range steps {
		s := &steps[i]
		s.Command, s.Background = strings.CutSuffix(s.Command, "&")
		s.Command = strings.TrimSpace(s.Command)
		if s.Background && len(s.Want) == 0 {
			return nil, fmt.Errorf("%w: line %d: a background command must show what to wait for", ErrSyntax, s.Line)
		}
	}
	return steps, nil
}

// continued takes a backslash from the end of a line of a command and reports
// whether there was one.
func continued(line string) (command string, more bool) {
	command, more = strings.CutSuffix(line, `\`)
	return strings.TrimSpace(command), more
}
