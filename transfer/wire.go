package transfer

import (
	"bytes"
	"encoding/json"
	"io"
)

// longWire is how many items of a document are not put into memory together to
// be sent.
const longWire = 1000

// A wire is a document as it is sent. Its last field is a list, whose items are
// encoded one by one, because a document may have a million of them.
type wire struct {
	head []byte // what comes before the first item
	n    int
	item func(i int) any
	size int // bytes of the texts in all items, about
}

// newWire returns a document with n items. doc is the document with an empty list.
func newWire(doc any, n, size int, item func(i int) any) (*wire, error) {
	head, err := encode(doc)
	if err != nil {
		return nil, err
	}
	return &wire{bytes.TrimSuffix(head, []byte("]}")), n, item, size}, nil
}

// bytes returns the whole document.
func (w *wire) bytes() ([]byte, error) {
	const names = 80 // bytes of an item beside its texts
	all := make([]byte, 0, len(w.head)+w.size+w.n*names)
	for r := w.reader(); r.more(); r.text.Reset() {
		if r.err != nil {
			return nil, r.err
		}
		all = append(all, r.text.Bytes()...)
	}
	return all, nil
}

// reader returns what reads the document from its beginning.
func (w *wire) reader() *wireReader {
	r := &wireReader{wire: w, next: -1}
	r.enc = json.NewEncoder(&r.text)
	r.enc.SetEscapeHTML(false)
	return r
}

// A wireReader encodes a document while it is read.
type wireReader struct {
	*wire
	next int // the item to encode next; -1 is the head, and n the end
	text bytes.Buffer
	enc  *json.Encoder // to text
	err  error
}

// more adds the next part of the document to text. It returns false after the
// last one.
func (r *wireReader) more() bool {
	switch i := r.next; {
	case i < 0:
		r.text.Write(r.head)
	case i < r.n:
		if i > 0 {
			r.text.WriteByte(',')
		}
		if r.err = r.enc.Encode(r.item(i)); r.err == nil {
			r.text.Truncate(r.text.Len() - 1) // the line end
		}
	case i == r.n:
		r.text.WriteString("]}")
	default:
		return false
	}
	r.next++
	return true
}

// Read reads the document on.
func (r *wireReader) Read(p []byte) (int, error) {
	for r.err == nil && r.text.Len() < len(p) && r.more() {
	}
	if r.err != nil {
		return 0, r.err
	}
	if r.text.Len() == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return r.text.Read(p)
}
