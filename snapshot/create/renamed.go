package create

import (
	"context"
	"slices"
	"strings"

	"github.com/decube/decube/snapshot/fsys"
)

// rounds is how often a directory is listed again of which names keep disappearing.
const rounds = 5

// renamed looks for what has become of the names of a directory that were gone when they
// were looked at. A large directory is looked at for as long as reading takes, and a file
// that is renamed meanwhile is there under neither name. So what is in the directory now and
// was not looked at is taken as well, whether it is such a file or a new one. Only where
// names go on disappearing can one be missing still, which is a problem.
func (w *walker) renamed(ctx context.Context, l *listing, d *directory, gone []string, subs []sub) ([]sub, error) {
	looked := [][]string{without(l.names, gone)} // each list in order
	for round := 0; len(gone) > 0; round++ {
		fresh, err := w.unknown(d, l, looked)
		if err == nil && len(fresh) > 0 && round == rounds {
			err = ErrRenamed
		}
		if err != nil {
			w.problem(d.rel, "list", err)
			break
		}
		if subs, gone, err = w.takeLate(ctx, l, d, fresh, subs); err != nil {
			return nil, err
		}
		looked = append(looked, without(fresh, gone))
	}
	slices.SortFunc(d.late, func(a, b lateSlot) int { return strings.Compare(a.name, b.name) })
	return subs, nil
}

// unknown returns the names in a directory that are in none of some ordered lists, in order.
func (w *walker) unknown(d *directory, l *listing, lists [][]string) ([]string, error) {
	dir, err := w.again(d, l)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(lists, func(list []string) bool { _, has := slices.BinarySearch(list, name); return has })
	})
	slices.Sort(names)
	return slices.Compact(names), nil
}

// takeLate looks at names that were not listed with the others and sends them on their way.
// It returns subs with the directories among them, and the names that are gone.
func (w *walker) takeLate(ctx context.Context, l *listing, d *directory, names []string, subs []sub) (_ []sub, gone []string, err error) {
	slots := make([]slot, len(names))
	for i, name := range names {
		d.late = append(d.late, lateSlot{name, &slots[i]})
	}
	for from := 0; from < len(names); from += windowNames {
		next := w.window(ctx, d, l, names, from)
		if err := wait(ctx, next.ready); err != nil {
			return nil, nil, err
		}
		if next.problem != nil { // nothing of what is left can be looked at
			w.problem(d.rel, "list", next.problem)
			break
		}
		gone = append(gone, next.gone...)
		if subs, err = w.sendOn(ctx, l, d, next.list, slots, nil, subs); err != nil {
			return nil, nil, err
		}
	}
	return subs, gone, nil
}

// without returns the names of an ordered list that are not in another one.
func without(names, others []string) []string {
	if len(others) == 0 {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, has := slices.BinarySearch(others, name); return has })
}

// again opens a directory that was listed. If another one has come to its place, what is in
// that is not what was listed.
func (w *walker) again(d *directory, l *listing) (*fsys.Dir, error) {
	dir, err := w.root.OpenDir(d.rel)
	if err != nil {
		return nil, err
	}
	st, err := dir.Stat()
	if err == nil && (st.Dev != l.st.Dev || st.Ino != l.st.Ino) {
		err = ErrChanged
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}
