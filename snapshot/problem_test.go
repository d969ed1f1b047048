package snapshot_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/decube/decube/snapshot"
)

// TestProblemsAreBounded adds more problems than a result lists: all are told and counted,
// the first are remembered, by path.
func TestProblemsAreBounded(t *testing.T) {
	told := 0
	p := snapshot.NewProblems(func(snapshot.Problem) { told++ })
	cause := errors.New("refused")
	const many = 3 * snapshot.MaxListed
	for i := range many {
		p.Add(fmt.Sprintf("%04d", many-i), "open", cause)
	}
	list := p.List()
	if len(list) != snapshot.MaxListed || p.Count() != many || told != many {
		t.Errorf("%d are listed, %d counted and %d told of %d", len(list), p.Count(), told, many)
	}
	if first := list[0]; first.Path != "2001" || !errors.Is(first, cause) || first.Error() != "open 2001: refused" {
		t.Errorf("the first is %v", first)
	}
}
