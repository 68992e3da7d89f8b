package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A tree is what makeTree has made.
type tree struct {
	files int
	bytes int64
}

// makeTree fills dir with files of many sizes and names: the same at each call
// but for the content of the files.
func makeTree(dir string) (tree, error) {
	var t tree
	write := func(name string, n int) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data := make([]byte, n)
		_, _ = rand.Read(data) // never fails
		t.files++
		t.bytes += int64(n)
		return os.WriteFile(path, data, 0o644)
	}
	random := mathrand.New(mathrand.NewPCG(7, 7))
	for i := range 300 {
		name := fmt.Sprintf("frames/%02d/frame %04d.h5", i/50, i)
		if err := write(name, random.IntN(1<<(8+i%9))); err != nil {
			return t, err
		}
	}
	deep := "deep" + strings.Repeat("/level", 12) + "/bottom.txt"
	for name, n := range map[string]int{
		"empty": 0, "Größe in Ångström.csv": 4096, "日本語.txt": 128, "100% done?.log": 77, "it's \"quoted\".txt": 10,
		".hidden": 5, "large.bin": 8 << 20, deep: 1000,
	} {
		if err := write(name, n); err != nil {
			return t, err
		}
	}
	return t, errors.Join(os.MkdirAll(filepath.Join(dir, "no files in here"), 0o755), os.Symlink("large.bin", filepath.Join(dir, "link to large")))
}

// compare names the differences between two folders, the first ten of them.
// Symbolic links count as not there.
func compare(a, b string) ([]string, error) {
	left, err := contents(a)
	if err != nil {
		return nil, err
	}
	right, err := contents(b)
	if err != nil {
		return nil, err
	}
	var differences []string
	for path, dir := range left {
		other, ok := right[path]
		switch {
		case !ok:
			differences = append(differences, path+" is missing")
		case dir != other:
			differences = append(differences, path+" is a file on one side only")
		case !dir:
			same, err := sameContent(filepath.Join(a, path), filepath.Join(b, path))
			if err != nil {
				return nil, err
			}
			if !same {
				differences = append(differences, path+" differs")
			}
		}
	}
	for path := range right {
		if _, ok := left[path]; !ok {
			differences = append(differences, path+" is too many")
		}
	}
	slices.Sort(differences)
	return differences[:min(len(differences), 10)], nil
}

// contents maps the path of each file and folder below dir to whether it is a
// folder.
func contents(dir string) (map[string]bool, error) {
	found := map[string]bool{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink == 0 {
			found[path] = d.IsDir()
		}
		return err
	})
	return found, err
}

func sameContent(a, b string) (bool, error) {
	left, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	right, err := os.ReadFile(b)
	return bytes.Equal(left, right), err
}
