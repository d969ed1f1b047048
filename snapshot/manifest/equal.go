package manifest

import (
	"bytes"
	"slices"
)

// EqualEntries reports whether two entries are the same in all fields.
func EqualEntries(a, b *Entry) bool {
	return bytes.Equal(a.Name, b.Name) && EqualMetadata(a, b) && EqualContent(a, b)
}

// EqualMetadata reports whether two entries agree in everything but name and content.
func EqualMetadata(a, b *Entry) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.User == b.User && a.Group == b.Group && a.ModTime == b.ModTime &&
		bytes.Equal(a.Target, b.Target) && slices.Equal(a.Device, b.Device) && bytes.Equal(a.Link, b.Link) &&
		slices.EqualFunc(a.Xattrs, b.Xattrs, func(x, y Xattr) bool {
			return bytes.Equal(x.Name, y.Name) && bytes.Equal(x.Value, y.Value)
		})
}

// EqualContent reports whether two entries name the same content: of files their
// extents, of directories their nodes. Different extents may still hold the same bytes.
func EqualContent(a, b *Entry) bool {
	return a.Size == b.Size && slices.Equal(a.Extents, b.Extents) && slices.Equal(a.Pages, b.Pages) &&
		(a.Node == nil) == (b.Node == nil) && (a.Node == nil || *a.Node == *b.Node)
}
