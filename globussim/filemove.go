package globussim

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// A fileMove is a step of a plan whose collection and paths are resolved.
type fileMove struct {
	FileStep
	collection *collection
	path, to   string // for os.Root
}

// do makes the change, except for a write that takes time.
func (m *fileMove) do() (err error) {
	root, now := m.collection.root, time.Now()
	switch {
	case m.Write != nil:
		return m.writeWhole()
	case m.Mkdir != "":
		err = m.mkdir(m.path, now)
	case m.Remove != "":
		if _, err = root.Lstat(m.path); err == nil {
			err = root.RemoveAll(m.path)
		}
	case m.Rename != nil:
		if err = m.mkdir(path.Dir(m.to), now); err == nil {
			err = root.Rename(m.path, m.to)
		}
		m.stamp(path.Dir(m.to), now)
	}
	if err != nil {
		return err
	}
	if m.Mkdir != "" || m.Touch != "" {
		return root.Chtimes(m.path, now, now)
	}
	m.stamp(path.Dir(m.path), now)
	return nil
}

// stamp gives a path the time of this change: in a bubble that is not the time
// which the file system gives it.
func (m *fileMove) stamp(name string, now time.Time) {
	_ = m.collection.root.Chtimes(name, now, now) // it may be gone meanwhile
}

// mkdir makes a folder and those above it, where there are none.
func (m *fileMove) mkdir(name string, now time.Time) error {
	var made []string
	for at := name; at != "."; at = path.Dir(at) {
		if _, err := m.collection.root.Lstat(at); err == nil {
			break
		}
		made = append(made, at)
	}
	err := m.collection.root.MkdirAll(name, 0o755)
	for _, at := range made {
		m.stamp(at, now)
		m.stamp(path.Dir(at), now)
	}
	return err
}

// ends says when a write that takes time ends, counted from the beginning of the
// plan.
func (m *fileMove) ends() time.Duration {
	return m.At + time.Duration(float64(m.Write.Size)/float64(m.Write.Rate)*float64(time.Second))
}

// content returns what a write writes.
func (m *fileMove) content() []byte {
	if m.Write.Content != "" {
		return []byte(m.Write.Content)
	}
	return FileContent(m.Write.Path, m.Write.Size)
}

// writeWhole writes a file such that no listing sees a part of it.
func (m *fileMove) writeWhole() error {
	root, now := m.collection.root, time.Now()
	if err := m.mkdir(path.Dir(m.path), now); err != nil {
		return err
	}
	data := m.content()
	if m.Write.Append {
		before, err := root.ReadFile(m.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		data = append(before, data...)
	}
	part := path.Join(path.Dir(m.path), partPrefix+rand.Text())
	err := root.WriteFile(part, data, 0o644)
	if err == nil {
		err = root.Chtimes(part, now, now)
	}
	if err == nil {
		err = root.Rename(part, m.path)
	}
	if err != nil {
		_ = root.Remove(part) // a hidden file more is no harm
		return err
	}
	m.stamp(path.Dir(m.path), now)
	return nil
}

// open opens the file of a write that takes time.
func (m *fileMove) open() (*os.File, error) {
	now := time.Now()
	if err := m.mkdir(path.Dir(m.path), now); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if m.Write.Append {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := m.collection.root.OpenFile(m.path, flags, 0o644)
	if err == nil {
		m.stamp(m.path, now)
		m.stamp(path.Dir(m.path), now)
	}
	return f, err
}

// follow returns where name is after the rename of from to to.
func follow(name, from, to string) string {
	if name == from {
		return to
	}
	if rest, ok := strings.CutPrefix(name, from+"/"); ok {
		return to + "/" + rest
	}
	return name
}
