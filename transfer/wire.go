package transfer

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
)

// longWire is the number of items above which a document is encoded while it is
// sent, and not in memory.
const longWire = 1000

// A wire is a document in the form that is sent. Its last field is a list whose
// items are encoded one by one, because a document may have a million of them.
type wire struct {
	head []byte // what comes before the first item
	n    int
	item func(i int) any
	size int                   // approximate bytes of the texts in all items
	more iter.Seq2[any, error] // items after the first n; may be nil
}

// newWire returns the wire form of doc, whose list is empty, with n items in the list.
func newWire(doc any, n, size int, item func(i int) any) (*wire, error) {
	head, err := encode(doc)
	if err != nil {
		return nil, err
	}
	return &wire{head: bytes.TrimSuffix(head, []byte("]}")), n: n, item: item, size: size}, nil
}

// long reports whether the document is encoded while it is sent.
func (w *wire) long() bool { return w.n > longWire || w.more != nil }

// bytes returns the whole document.
func (w *wire) bytes() ([]byte, error) {
	const names = 80 // bytes of an item besides its texts
	all := make([]byte, 0, len(w.head)+w.size+w.n*names)
	r := w.reader()
	defer r.Close() //nolint:errcheck // there is no error
	for ; r.part(); r.text.Reset() {
		if r.err != nil {
			return nil, r.err
		}
		all = append(all, r.text.Bytes()...)
	}
	return all, nil
}

// reader returns a reader of the document from its beginning.
func (w *wire) reader() *wireReader {
	r := &wireReader{wire: w, next: -1}
	r.enc = json.NewEncoder(&r.text)
	r.enc.SetEscapeHTML(false)
	return r
}

// A wireReader encodes a document while it is read.
type wireReader struct {
	*wire
	next  int // the item to encode next; -1 is the head, and n is the first of more
	items int // encoded so far
	text  bytes.Buffer
	enc   *json.Encoder // to text
	err   error

	pull func() (item any, err error, ok bool) // the next of more
	stop func()
}

// part adds the next part of the document to text. It returns false after the
// last one.
func (r *wireReader) part() bool {
	switch i := r.next; {
	case i < 0:
		r.text.Write(r.head)
	case i < r.n:
		r.add(r.item(i))
	case i == r.n && r.more != nil:
		return r.further()
	case i == r.n:
		r.text.WriteString("]}")
	default:
		return false
	}
	r.next++
	return true
}

// further is [wireReader.part] for an item of more, or for the end after them.
func (r *wireReader) further() bool {
	if r.pull == nil {
		r.pull, r.stop = iter.Pull2(r.more)
	}
	item, err, ok := r.pull()
	switch {
	case err != nil:
		r.err = err
	case ok:
		r.add(item)
	default:
		r.text.WriteString("]}")
		r.next++
	}
	return true
}

// add adds an item, after a comma unless it is the first one.
func (r *wireReader) add(item any) {
	if r.items > 0 {
		r.text.WriteByte(',')
	}
	r.items++
	if r.err = r.enc.Encode(item); r.err == nil {
		r.text.Truncate(r.text.Len() - 1) // the line end
	}
}

// Close stops reading early. It may be called again.
func (r *wireReader) Close() error {
	if r.stop != nil {
		r.stop()
	}
	return nil
}

// Read implements [io.Reader].
func (r *wireReader) Read(p []byte) (int, error) {
	for r.err == nil && r.text.Len() < len(p) && r.part() {
	}
	if r.err != nil {
		return 0, r.err
	}
	if r.text.Len() == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return r.text.Read(p)
}
