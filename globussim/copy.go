package globussim

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// partPrefix is the prefix of files that are not complete yet. Listings do not
// show such files.
const partPrefix = ".globussim-part-"

// write copies a file to a temporary name and renames it when it is complete
// and verified, so that a killed task leaves nothing that looks complete. The
// temporary name is the same each time, so a file that a process left behind is
// overwritten. It returns the number of bytes.
func (w *worker) write(ctx context.Context, u unit, info fs.FileInfo) (size int64, err error) {
	t := w.task
	in, err := t.src.root.Open(inRoot(u.src))
	if err != nil {
		return 0, u.atSource(t, codeOf(err))
	}
	defer shut(in)
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	part := inRoot(join(path.Dir(u.dst), partPrefix+keptID(t.doc.TaskID, u.dst)))
	_ = t.dst.root.Remove(part) // that of a process which died; if it stays, the next call says so
	out, err := t.dst.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return 0, u.atDestination(t, codeOf(err))
	}
	defer func() {
		if err != nil {
			_ = out.Close()             // it is thrown away
			_ = t.dst.root.Remove(part) // a hidden file more is no harm
		}
	}()

	algorithm, sum := w.copyHash(u)
	if size, err = w.stream(ctx, u, in, out, sum); err != nil {
		return 0, err
	}
	// The mode again, since the process's mask took from the first.
	if err := errors.Join(out.Chmod(mode), out.Close()); err != nil {
		return 0, u.atDestination(t, codeOf(err))
	}
	done := success{Source: u.rawSource(), Destination: u.rawDestination(), Size: size}
	if sum != nil {
		done.Checksum, done.Algorithm = hex.EncodeToString(sum.Sum(nil)), algorithm
		if err := w.verify(ctx, u, part, done); err != nil {
			return 0, err
		}
	}
	if _, err := w.gate(ctx); err != nil {
		return 0, err
	}
	at := w.server.now().Add(t.dst.Ahead)
	if t.spec.PreserveTimestamp {
		at = info.ModTime()
	}
	if err := w.place(u, part, at, done); err != nil {
		return 0, err
	}
	return size, nil
}

// copyHash returns the hash of a copy and its algorithm. The hash is nil if the copy is
// not verified.
func (w *worker) copyHash(u unit) (algorithm string, sum hash.Hash) {
	algorithm = "MD5"
	if u.item.checksum != "" {
		algorithm = cmp.Or(u.item.algorithm, algorithm)
	}
	if w.task.spec.VerifyChecksum || u.item.checksum != "" {
		sum = newHash(algorithm)
	}
	return algorithm, sum
}

// place gives a complete copy its time and its name, and counts it.
func (w *worker) place(u unit, part string, at time.Time, done success) error {
	t := w.task
	if err := t.dst.root.Chtimes(part, at, at); err != nil {
		return u.atDestination(t, codeOf(err))
	}
	if err := w.keepFile(done, at); err != nil {
		return u.atDestination(t, codeEndpoint)
	}
	if err := t.dst.root.Rename(part, inRoot(u.dst)); err != nil {
		return u.atDestination(t, codeOf(err))
	}
	w.advance(func(d *taskDoc) {
		d.FilesTransferred++
		t.successes = append(t.successes, done)
	})
	return nil
}

// stream copies bytes at the task's rate.
func (w *worker) stream(ctx context.Context, u unit, in io.Reader, out io.Writer, sum hash.Hash) (size int64, err error) {
	if w.buf == nil {
		w.buf = make([]byte, 256<<10)
	}
	for {
		rate, err := w.gate(ctx)
		if err != nil {
			return size, err
		}
		if err := w.reach(u); err != nil {
			return size, err
		}
		chunk := w.buf
		if rate > 0 {
			chunk = chunk[:min(len(chunk), max(int(rate/20), 1))]
		}
		n, readErr := in.Read(chunk)
		if n > 0 {
			if err := w.pace.wait(ctx, n, rate); err != nil {
				return size, err
			}
			if _, err := out.Write(chunk[:n]); err != nil {
				return size, u.atDestination(w.task, codeOf(err))
			}
			if sum != nil {
				_, _ = sum.Write(chunk[:n]) // a hash takes everything
			}
			size += int64(n)
			w.advance(func(d *taskDoc) { d.BytesTransferred += int64(n) })
		}
		if readErr == io.EOF {
			return size, nil
		}
		if readErr != nil {
			return size, u.atSource(w.task, codeOf(readErr))
		}
	}
}

// verify compares the checksum of what was read with the one that the item
// demands and, if the document asks for it, with those of what was written and
// of what the source holds now: it may have changed under the copy.
func (w *worker) verify(ctx context.Context, u unit, part string, done success) error {
	t := w.task
	if u.item.checksum != "" && u.item.checksum != done.Checksum {
		f := u.atSource(t, codeExternal)
		f.fatal = true
		return f
	}
	if !t.spec.VerifyChecksum {
		return nil
	}
	written, n, err := w.checksum(ctx, t.dst, part, done.Algorithm)
	if err != nil {
		return either(ctx, u.atDestination(t, codeOf(err)))
	}
	there, _, err := w.checksum(ctx, t.src, inRoot(u.src), done.Algorithm)
	if err != nil {
		return either(ctx, u.atSource(t, codeOf(err)))
	}
	w.update(func(d *taskDoc) { d.BytesChecksummed += n })
	if written != done.Checksum || there != done.Checksum {
		return u.atDestination(t, codeChecksum)
	}
	return nil
}

// checksum reads a file whole and returns its size as well. The path is one for
// os.Root.
func (w *worker) checksum(ctx context.Context, p *collection, name, algorithm string) (hexSum string, size int64, err error) {
	f, err := p.root.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer shut(f)
	sum := newHash(algorithm)
	if w.buf == nil {
		w.buf = make([]byte, 256<<10)
	}
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := f.Read(w.buf)
		_, _ = sum.Write(w.buf[:n]) // a hash takes everything
		size += int64(n)
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), size, nil
		}
		if err != nil {
			return "", 0, err
		}
	}
}

// newHash returns the named algorithm, MD5 if there is no name, or nil if it
// is not known.
func newHash(algorithm string) hash.Hash {
	switch strings.ReplaceAll(strings.ToUpper(algorithm), "-", "") {
	case "", "MD5":
		return md5.New()
	case "SHA1":
		return sha1.New()
	case "SHA224":
		return sha256.New224()
	case "SHA256":
		return sha256.New()
	case "SHA384":
		return sha512.New384()
	case "SHA512":
		return sha512.New()
	}
	return nil
}
