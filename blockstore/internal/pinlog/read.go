package pinlog

import (
	"bytes"
	"errors"
	"fmt"
)

// Found is what was read from a file.
type Found struct {
	Owner string
	// Sequence is the number of the last change.
	Sequence uint64
	// Lossy says that entries were lost before the file was written.
	Lossy bool
	// Damage says what is wrong with the file, nil when all is there that the file
	// knows of. What can be read was visited all the same.
	Damage error

	head header
	end  int64 // where the next change goes
	size int64 // of the file
}

// Owner returns whose file it is, "" when that cannot be read.
func Owner(data []byte) string {
	h, err := decodeHeader(data)
	if err != nil {
		return ""
	}
	return h.owner
}

// Read visits every change in data, a whole file, in order: first the base, then
// the log. Key and Value are parts of data.
//
// The number of a change that follows damage is not compared with the one before
// it, so that one lost page is reported once and what lies behind it is not lost
// with it. A removal that is lost leaves its key in the map: too much is kept,
// never too little.
func Read(data []byte, visit func(Change)) Found {
	f := Found{size: int64(len(data))}
	h, err := decodeHeader(data)
	if err != nil {
		f.Damage = err
		f.salvage(data, visit)
		return f
	}
	f.head, f.Owner, f.Sequence, f.Lossy = h, h.owner, h.seq, h.lossy
	if h.end < page || h.end%page != 0 || h.end > int64(len(data)) {
		f.Damage = fmt.Errorf("the file ends at %d, before %d entries are complete", len(data), h.count)
	}
	f.readBase(data[:min(max(h.end, page), int64(len(data)))], visit)
	f.readLog(data, visit)
	return f
}

// readBase visits the packed records. Where one is damaged, the next is looked for at
// each place where one may begin.
func (f *Found) readBase(data []byte, visit func(Change)) {
	var count uint64
	for off := int64(page); off < int64(len(data)); {
		r, err := decodeRecord(data, off)
		if err != nil || r.nonce != f.head.nonce || r.seq != 0 {
			off += recordAlign
			continue
		}
		visit(r.Change)
		count++
		off += int64(align(r.size(), recordAlign))
	}
	if count != f.head.count {
		f.damaged(fmt.Errorf("%d of %d entries can be read", count, f.head.count))
	}
}

// readLog visits the changes. A page that holds none is what a crash left of the
// last change, unless another one follows.
func (f *Found) readLog(data []byte, visit func(Change)) {
	f.end = max(f.head.end, page)
	for off := f.end; off < int64(len(data)); {
		r, err := decodeRecord(data, off)
		if err != nil || r.nonce != f.head.nonce || r.seq <= f.Sequence {
			off += page
			continue
		}
		if r.seq != f.Sequence+1 || off != f.end {
			f.damaged(fmt.Errorf("changes %d to %d cannot be read", f.Sequence+1, r.seq-1))
		}
		visit(r.Change)
		f.Sequence = r.seq
		off += int64(align(r.size(), page))
		f.end = off
	}
}

func (f *Found) damaged(err error) { f.Damage = errors.Join(f.Damage, err) }

// salvage visits the records of a file without a header. The first record tells
// the nonce: it lies where no value can have been put.
func (f *Found) salvage(data []byte, visit func(Change)) {
	var nonce uint64
	known := false
	for off := int64(0); off+recordHead <= int64(len(data)); {
		if off%page == 0 && off+page <= int64(len(data)) && bytes.Equal(data[off:off+page], zeros[:]) {
			off += page
			continue
		}
		r, err := decodeRecord(data, off)
		if err != nil || known && r.nonce != nonce {
			off += recordAlign
			continue
		}
		nonce, known = r.nonce, true
		visit(r.Change)
		f.Sequence = max(f.Sequence, r.seq)
		off += int64(align(r.size(), recordAlign))
	}
}

var zeros [page]byte
