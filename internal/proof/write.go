package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
)

// format is the version of the text that this package writes.
const format = 1

// A Digest is "sha256:" and 64 hexadecimal digits, or empty.
type Digest string

func digestOf(h hash.Hash) Digest { return Digest("sha256:" + hex.EncodeToString(h.Sum(nil))) }

// Counts are how many rows of each kind a receipt has.
type Counts struct {
	Items   int64 `json:"items"`
	Copied  int64 `json:"copied"`
	Found   int64 `json:"found"`
	Landed  int64 `json:"landed"`
	Skipped int64 `json:"skipped"`
}

func (c *Counts) add(section int) {
	for i, n := range []*int64{&c.Items, &c.Copied, &c.Found, &c.Landed, &c.Skipped} {
		if i+1 == section {
			*n++
		}
	}
}

// A Seal is the end of a receipt.
type Seal struct {
	Counts
	Content  Digest `json:"content"`  // digest of the head and the rows
	Number   int64  `json:"number"`   // of the receipt in its ledger, from 1
	Previous Digest `json:"previous"` // digest of the receipt with the number before; empty for the first
	Digest   Digest `json:"digest"`   // digest of the fields above
	// Signature is the signature of Digest by an Ed25519 key, in base64; may be
	// empty.
	Signature string `json:"signature,omitempty"`
}

// chained returns the digest that a seal must have.
func (s *Seal) chained() Digest {
	h := sha256.New()
	fmt.Fprintf(h, "globus-runner receipt %d\n%s\n%d\n%s\n", format, s.Content, s.Number, s.Previous)
	return digestOf(h)
}

// signed returns the bytes that are signed.
func (s *Seal) signed() []byte { return []byte(s.Digest) }

// NewSeal returns the end of a receipt from the counts and digest of its
// [Writer]. number and previous are its place in the ledger. A nil key makes no
// signature.
func NewSeal(c Counts, content Digest, number int64, previous Digest, key ed25519.PrivateKey) Seal {
	s := Seal{Counts: c, Content: content, Number: number, Previous: previous}
	s.Digest = s.chained()
	if key != nil {
		s.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.signed()))
	}
	return s
}

// Line returns the last line of a receipt.
func (s *Seal) Line() ([]byte, error) {
	return encode(struct {
		End *Seal `json:"end"`
	}{s})
}

// encode returns v as a line of a receipt.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // with a line feed at the end
		return nil, err
	}
	if b.Len() > maxLine {
		return nil, fmt.Errorf("a line of a receipt would have %d bytes, at most %d are possible", b.Len(), maxLine)
	}
	return b.Bytes(), nil
}

// A Writer writes a receipt without its end.
type Writer struct {
	w      io.Writer
	hash   hash.Hash
	counts Counts
	last   *line // nil before the first row
}

// NewWriter writes the head of a receipt to w.
func NewWriter(w io.Writer, head Receipt) (*Writer, error) {
	head.Format = format
	text, err := encode(head)
	if err != nil {
		return nil, err
	}
	out := &Writer{w: w, hash: sha256.New()}
	return out, out.put(text)
}

func (w *Writer) put(text []byte) error {
	w.hash.Write(text)
	_, err := w.w.Write(text)
	return err
}

// Write writes a row. Rows must come in the order of a [Sorter], without
// repetitions.
func (w *Writer) Write(r Row) error {
	next, err := newLine(r)
	if err != nil {
		return err
	}
	if w.last != nil && compareLines(w.last, next) >= 0 {
		return fmt.Errorf("rows of a receipt are not in order: %.200s comes after %.200s", next.text, w.last.text)
	}
	w.counts.add(r.section())
	w.last = next
	return w.put([]byte(next.text))
}

// Sum returns the counts and the digest of what was written, for [NewSeal].
func (w *Writer) Sum() (Counts, Digest) { return w.counts, digestOf(w.hash) }
