package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// readAll reads a list, opened in some way, or returns the error.
func readAll(r io.ReadCloser, err error) (string, error) {
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	if err == nil {
		err = r.Close()
	}
	return string(text), err
}

func TestPipeIsReadAsOftenAsItIsOpened(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, length := range map[string]int{
		"empty": 0, "in memory": 100, "just not in memory": keptInMemory, "in a file": keptInMemory + 100,
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.Repeat("abcdefg", length/7+1)[:length]
			l := newInputs(strings.NewReader(want))
			for range 3 {
				if got, err := readAll(l.openStdin()); err != nil || got != want {
					t.Fatalf("got %d bytes, %v, want %d each time", len(got), err, len(want))
				}
			}
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
				t.Errorf("%v is left in the folder for temporary files, %v", left, err)
			}
		})
	}
}

func TestPipeThatBreaksIsNotTakenForItsBeginning(t *testing.T) {
	l := newInputs(io.MultiReader(strings.NewReader("/a /b\n"), iotest.ErrReader(io.ErrClosedPipe)))
	for range 2 {
		if text, err := readAll(l.openStdin()); err == nil {
			t.Errorf("got %q and no error", text)
		}
	}
}

func TestListsAreFilesOrPipes(t *testing.T) {
	dir := t.TempDir()
	file, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "fifo")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(fifo, []byte("two"), 0o600) }() // if it fails, nothing is read
	l := newInputs(nil)
	for range 2 {
		for name, want := range map[string]string{file: "one", fifo: "two"} {
			if got, err := readAll(l.open(name)); err != nil || got != want {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
			}
		}
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 5), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.open(file); err == nil || !strings.Contains(err.Error(), "was changed while it was in use") {
		t.Errorf("got %v for a file that has changed since it was checked", err)
	}
	if got, err := readAll(openFile(file)); err != nil || got != "xxxxx" {
		t.Errorf("got %q, %v, want what is in the file now", got, err)
	}
	if _, err := openFile(fifo); err == nil || !strings.Contains(err.Error(), fifo+" is not a file") {
		t.Errorf("got %v for a process that would wait for the pipe forever, want an error that names it", err)
	}
	for name, open := range map[string]func(string) (io.ReadCloser, error){"list": l.open, "file": openFile} {
		if _, err := open(filepath.Join(dir, "none")); !os.IsNotExist(err) {
			t.Errorf("%s: got %v for a name that is not there", name, err)
		}
	}
}
