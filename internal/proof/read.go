package proof

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/internal/plain"
)

// maxLine bounds a line of a receipt, in bytes.
const maxLine = 1 << 20

// Why a receipt is not as it was written, besides errors of reading.
var (
	// ErrChanged says that a row or the head was changed, removed, added or moved.
	ErrChanged = errors.New("the receipt was changed after it was written")
	// ErrSignature says that the signature was not made by the key.
	ErrSignature = errors.New("the signature is by another key")
	// ErrNotReceipt says that a text is not a receipt, or has another format.
	ErrNotReceipt = errors.New("this is not a receipt")
	// ErrUnsigned says that there is no signature to check.
	ErrUnsigned = errors.New("the receipt is not signed")
)

// errRewritten says that a line is valid, but not written as by this program.
var errRewritten = errors.New("the receipt is not as it was written")

// A Reader reads a receipt. It holds one line at a time.
type Reader struct {
	// Receipt is the head.
	Receipt Receipt
	// Seal is the end. It is set after Rows has ended without an error.
	Seal Seal

	lines  *bufio.Reader
	n      int  // lines read so far
	skims  bool // rows are not checked: see skim
	hash   hash.Hash
	counts Counts
	last   *line // nil before the first row
}

// NewReader reads the head of a receipt.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{lines: bufio.NewReader(r), hash: sha256.New()}
	text, err := in.next()
	if err != nil {
		return nil, err
	}
	err = in.decode(text, &in.Receipt)
	switch as := in.Receipt.Format; {
	case as == format && (err == nil || errors.Is(err, errRewritten)):
	case as > format:
		return nil, fmt.Errorf("%w that can be read: it has format %d, and this program knows format %d", ErrNotReceipt, as, format)
	default:
		return nil, fmt.Errorf("%w: line 1 is not the head of one", ErrNotReceipt)
	}
	if err != nil {
		return nil, err
	}
	in.hash.Write(text)
	return in, nil
}

// next returns a line with its line feed. It may be valid only until the next
// call.
func (r *Reader) next() ([]byte, error) {
	r.n++
	var long []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			return nil, fmt.Errorf("line %d has more than %d bytes", r.n, maxLine)
		}
		switch {
		case err == nil && long == nil:
			return part, nil
		case err == nil:
			return append(long, part...), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case errors.Is(err, io.EOF) && len(long)+len(part) == 0 && r.n == 1:
			return nil, fmt.Errorf("%w: it is empty", ErrNotReceipt)
		case errors.Is(err, io.EOF) && len(long)+len(part) == 0:
			return nil, fmt.Errorf("the receipt ends after line %d, and the rest of it is missing: %w", r.n-1, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("the receipt ends in line %d, and the rest of it is missing: %w", r.n, io.ErrUnexpectedEOF)
		default:
			return nil, err
		}
	}
}

// decode reads a line into to, and checks that encode writes it the same way.
func (r *Reader) decode(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		if key, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
			return fmt.Errorf("%w: line %d has the key %s, which does not belong there", errRewritten, r.n, key)
		}
		return fmt.Errorf("line %d: %w", r.n, err)
	}
	again, err := encode(to)
	if err != nil {
		return fmt.Errorf("line %d: %w", r.n, err)
	}
	switch { // a receipt can be written in one way only
	case bytes.Equal(again, text):
		return nil
	case bytes.HasSuffix(text, []byte("\r\n")):
		return fmt.Errorf("%w: its lines end with CR LF, as an editor or a mail program leaves them; export it again", errRewritten)
	}
	return fmt.Errorf("%w: line %d is not as this program writes it", errRewritten, r.n)
}

// Rows yields the rows; it can be ranged over once. An error is the last pair:
// the text is not a receipt, or was changed ([ErrChanged]).
func (r *Reader) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			row, more, err := r.row()
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !more || !yield(row, nil) {
				return
			}
		}
	}
}

// row reads the next row; more is false after the last one.
func (r *Reader) row() (row Row, more bool, err error) {
	text, err := r.next()
	if err != nil {
		return Row{}, false, err
	}
	now := &line{text: string(text)}
	if plain, ok := plainRow(now.text); ok {
		now.row = plain
	} else {
		var read struct {
			Row
			End *Seal `json:"end,omitempty"`
		}
		if err := r.decode(text, &read); err != nil {
			return Row{}, false, err
		}
		section := read.section()
		switch {
		case read.End != nil && section == 0:
			return Row{}, false, r.end(read.End)
		case read.End != nil || section == 0:
			return Row{}, false, fmt.Errorf("line %d is neither a row nor the end of a receipt", r.n)
		}
		now.row = read.Row
	}
	if r.skims {
		return now.row, true, nil
	}
	if r.last != nil && compareLines(r.last, now) >= 0 {
		return Row{}, false, fmt.Errorf("%w: line %d is not in its place", ErrChanged, r.n)
	}
	r.counts.add(now.row.section())
	r.hash.Write(text)
	r.last = now
	return now.row, true, nil
}

// skim skips the rows before a section, and does not check the others. The receipt
// must have been read to its end before.
func (r *Reader) skim(section int) error {
	r.skims = true
	earlier := []string{`{"item":`, `{"copied":`, `{"found":`, `{"landed":`}[:section-1]
	for {
		begin, _ := r.lines.Peek(len(`{"copied":`)) // no row is shorter
		if !slices.ContainsFunc(earlier, func(key string) bool { return bytes.HasPrefix(begin, []byte(key)) }) {
			return nil
		}
		if _, err := r.next(); err != nil {
			return err
		}
	}
}

// end checks the last line.
func (r *Reader) end(s *Seal) error {
	if r.skims {
		return nil
	}
	if _, err := r.lines.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows its last line, %d", ErrChanged, r.n)
	}
	content := digestOf(r.hash)
	switch {
	case s.Counts != r.counts:
		return fmt.Errorf("%w: it has %s, and says that it had %s", ErrChanged, r.counts, s.Counts)
	case s.Content != content:
		return fmt.Errorf("%w: its lines have the digest %s, and had %s", ErrChanged, content, s.Content)
	case s.Digest != s.chained():
		return fmt.Errorf("%w: its end has the digest %s, and had %s", ErrChanged, s.chained(), s.Digest)
	}
	r.Seal = *s
	return nil
}

// String counts the rows in words.
func (c Counts) String() string {
	return fmt.Sprintf("%d copied, %d found before, %d there after and %d skipped files for %s", c.Copied, c.Found, c.Landed, c.Skipped, plain.Count(c.Items, "item"))
}

// Verify reads a receipt to its end. If there are keys, it also checks the signature;
// the error is [ErrUnsigned] if there is none, and [ErrSignature] if it was made by
// none of them.
func Verify(r io.Reader, keys ...ed25519.PublicKey) (*Receipt, *Seal, error) {
	in, err := NewReader(r)
	if err != nil {
		return nil, nil, err
	}
	for _, err := range in.Rows() {
		if err != nil {
			return nil, nil, err
		}
	}
	if len(keys) > 0 {
		if err := in.Seal.verify(keys); err != nil {
			return nil, nil, err
		}
	}
	return &in.Receipt, &in.Seal, nil
}

func (s *Seal) verify(keys []ed25519.PublicKey) error {
	if s.Signature == "" {
		return ErrUnsigned
	}
	signature, err := base64.StdEncoding.DecodeString(s.Signature)
	made := func(key ed25519.PublicKey) bool { return ed25519.Verify(key, s.signed(), signature) }
	if err != nil || !slices.ContainsFunc(keys, made) {
		return ErrSignature
	}
	return nil
}
