package mutants

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNotOnce is returned for an edit whose old text is not in its file exactly once:
// the source has changed, and the mutant must be written anew.
var ErrNotOnce = errors.New("the old text is not in the file exactly once")

// apply makes an edit in a source text.
func (e *Edit) apply(source string) (string, error) {
	at := strings.Index(source, e.Old)
	// Overlapping occurrences count as two, and part of a line is not the line.
	if at < 0 || strings.LastIndex(source, e.Old) != at || (at > 0 && source[at-1] != '\n') {
		return "", fmt.Errorf("%s: %w:\n%s", e.File, ErrNotOnce, e.Old)
	}
	return source[:at] + e.New + source[at+len(e.Old):], nil
}

// Overlay writes the changed copies of the module's files, and what has the go command
// use them in place of the files, into dir. It returns the path for the flag -overlay.
// The module itself, at root, is left as it is; later edits of a file see the earlier
// ones. It returns ErrNotOnce when an edit does not fit.
func (m *Mutant) Overlay(root, dir string) (string, error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i := range m.Edits {
		e := &m.Edits[i]
		name := filepath.Join(root, filepath.FromSlash(e.File))
		from, changed := overlay.Replace[name]
		if !changed {
			// Copies are numbered: files of two packages may have one name.
			from, overlay.Replace[name] = name, filepath.Join(dir, strconv.Itoa(i)+"-"+filepath.Base(name))
		}
		source, err := os.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("mutant %s: reading the source: %w", m.Name, err)
		}
		text, err := e.apply(string(source))
		if err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		if err := os.WriteFile(overlay.Replace[name], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("mutant %s: writing the copy: %w", m.Name, err)
		}
	}
	text, err := json.MarshalIndent(overlay, "", "\t")
	if err != nil {
		return "", fmt.Errorf("mutant %s: encoding the overlay: %w", m.Name, err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("mutant %s: writing the overlay: %w", m.Name, err)
	}
	return file, nil
}
