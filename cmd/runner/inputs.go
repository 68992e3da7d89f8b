package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

const (
	keptInMemory = 8 << 20 // bytes of a pipe
	keptAtMost   = 1 << 30 // bytes of a pipe, beyond memory in a temporary file
)

// inputs opens batches and manifests. They are read twice: once to be checked, and once to
// be sent. The content of a pipe is kept, because a pipe can be read only once.
type inputs struct {
	stdin io.Reader

	mu    sync.Mutex
	pipes map[string]*pipe       // by name
	files map[string]fs.FileInfo // by name, as they were first opened
}

func newInputs(stdin io.Reader) *inputs {
	return &inputs{stdin: stdin, pipes: map[string]*pipe{}, files: map[string]fs.FileInfo{}}
}

// A pipe is the content of something that is not a file.
type pipe struct {
	once sync.Once
	text io.ReaderAt
	size int64
	err  error
}

// open opens a list by its name. It may be called again and again.
func (in *inputs) open(name string) (io.ReadCloser, error) {
	if isFile(name) {
		return in.file(name)
	}
	return in.kept(name, func() (io.ReadCloser, error) { return os.Open(name) })
}

// file opens a file, which must not have changed since it was first opened: what was
// checked is what is sent.
func (in *inputs) file(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if was := in.files[name]; was != nil && (was.Size() != now.Size() || !was.ModTime().Equal(now.ModTime()) || !os.SameFile(was, now)) {
		return nil, errors.Join(fmt.Errorf("%s was changed while it was in use; start again when nothing writes to it", name), f.Close())
	}
	in.files[name] = now
	return f, nil
}

// openStdin is open for the standard input.
func (in *inputs) openStdin() (io.ReadCloser, error) {
	return in.kept("-", func() (io.ReadCloser, error) { return io.NopCloser(in.stdin), nil })
}

// isFile reports whether something can be opened more than once, or not at all.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return err != nil || info.Mode().IsRegular() || info.IsDir()
}

// openFile is [inputs.open] for serve, which reads a list for each occurrence, and so
// cannot read it from a pipe.
func openFile(name string) (io.ReadCloser, error) {
	if !isFile(name) {
		return nil, fmt.Errorf("%s is not a file: a pipe gives its list only once, but serve reads it for each occurrence; name a file, or use runner run", name)
	}
	return os.Open(name)
}

// kept reads what open opens, unless it was read before.
func (in *inputs) kept(name string, open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	in.mu.Lock()
	p := in.pipes[name]
	if p == nil {
		p = new(pipe)
		in.pipes[name] = p
	}
	in.mu.Unlock()
	p.once.Do(func() { p.err = p.keep(open) })
	return io.NopCloser(io.NewSectionReader(p.text, 0, p.size)), p.err
}

// keep reads to the end of what open opens.
func (p *pipe) keep(open func() (io.ReadCloser, error)) error {
	p.text = bytes.NewReader(nil)
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	head, err := io.ReadAll(io.LimitReader(r, keptInMemory))
	p.text, p.size = bytes.NewReader(head), int64(len(head))
	if err != nil || p.size < keptInMemory {
		return err
	}
	f, err := os.CreateTemp("", "runner-list-*")
	if err != nil {
		return fmt.Errorf("keep a list of more than %d MiB: %w; set TMPDIR to a folder with room, or put the list into a file", keptInMemory>>20, err)
	}
	if err := os.Remove(f.Name()); err != nil { // its room is free when the process ends
		return errors.Join(err, f.Close())
	}
	p.text = f
	p.size, err = io.Copy(f, io.MultiReader(bytes.NewReader(head), io.LimitReader(r, keptAtMost)))
	switch {
	case err != nil:
		return fmt.Errorf("keep the list in a temporary file: %w; set TMPDIR to a folder with room, or put the list into a file", err)
	case p.size > keptAtMost:
		return fmt.Errorf("the list is longer than %d GiB, put it into a file", keptAtMost>>30)
	}
	return nil
}
