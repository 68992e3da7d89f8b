package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
)

// chunk is how much of a compressed text one row has, in bytes. A reader holds one chunk
// in memory, and there may be many readers.
const chunk = 64 << 10

// WriteText writes a text of a receipt under a new name. The text is complete when the
// writer is closed, and is not used until [Ledger.KeepSnapshot] or [Ledger.Seal] names it.
// The writer holds one chunk in memory.
func (l *Ledger) WriteText(ctx context.Context, receipt int64, name string) io.WriteCloser {
	w := &textWriter{ledger: l, ctx: ctx, receipt: receipt, name: name}
	if zip, ok := l.zips.Get().(*gzip.Writer); ok {
		zip.Reset(&w.chunk)
		w.zip = zip
	} else {
		w.zip = gzip.NewWriter(&w.chunk)
	}
	return w
}

type textWriter struct {
	ledger  *Ledger
	ctx     context.Context //nolint:containedctx // as long as the text is written
	receipt int64
	name    string
	number  int
	chunk   bytes.Buffer
	zip     *gzip.Writer // nil after the end
}

func (w *textWriter) Write(p []byte) (int, error) {
	n, err := w.zip.Write(p)
	if err == nil && w.chunk.Len() >= chunk {
		err = w.put()
	}
	return n, err
}

func (w *textWriter) Close() error {
	if w.zip == nil {
		return nil
	}
	if err := w.zip.Close(); err != nil {
		return err
	}
	w.ledger.zips.Put(w.zip)
	w.zip = nil
	return w.put()
}

func (w *textWriter) put() error {
	data := bytes.Clone(w.chunk.Bytes())
	err := w.ledger.write(w.ctx, fmt.Sprintf("write a text of receipt %d", w.receipt), func(ctx context.Context, s session) error {
		_, err := s.exec(ctx, `
			INSERT INTO texts (receipt, name, number, data) VALUES ($1, $2, $3, $4)
			ON CONFLICT (receipt, name, number) DO UPDATE SET data = excluded.data`, w.receipt, w.name, w.number, data)
		return err
	})
	w.chunk.Reset()
	w.number++
	return err
}

// ReadText reads a text of a receipt. The error of Read is ErrNone if there is no such
// text, and [io.ErrUnexpectedEOF] if it is not complete. The reader holds one chunk in
// memory.
func (l *Ledger) ReadText(ctx context.Context, receipt int64, name string) io.ReadCloser {
	return &textReader{chunks: &chunkReader{ledger: l, ctx: ctx, receipt: receipt, name: name}}
}

type textReader struct {
	chunks *chunkReader
	zip    *gzip.Reader // nil until the first Read
}

func (r *textReader) Read(p []byte) (int, error) {
	if r.zip == nil {
		zip, err := gzip.NewReader(r.chunks)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("text %q of receipt %d: %w", r.chunks.name, r.chunks.receipt, ErrNone)
			}
			return 0, err
		}
		r.zip = zip
	}
	return r.zip.Read(p)
}

// Close has nothing to do.
func (r *textReader) Close() error { return nil }

// A chunkReader reads the chunks of a text, one after the other.
type chunkReader struct {
	ledger  *Ledger
	ctx     context.Context //nolint:containedctx // as long as the text is read
	receipt int64
	name    string
	number  int
	left    []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		err := r.ledger.read(r.ctx, fmt.Sprintf("read a text of receipt %d", r.receipt), func(ctx context.Context, s session) error {
			r.left = nil
			return s.query(ctx, func(rows *sql.Rows) error { return rows.Scan(&r.left) },
				`SELECT data FROM texts WHERE receipt = $1 AND name = $2 AND number = $3`, r.receipt, r.name, r.number)
		})
		if err != nil {
			return 0, err
		}
		if len(r.left) == 0 {
			return 0, io.EOF
		}
		r.number++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
