package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// makeTree fills dir with files of many sizes and names: the same at each call
// but for the content of the files.
func makeTree(dir string) error {
	write := func(name string, n int) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data := make([]byte, n)
		_, _ = rand.Read(data) // never fails
		return os.WriteFile(path, data, 0o644)
	}
	random := mathrand.New(mathrand.NewPCG(7, 7))
	for i := range 300 {
		name := fmt.Sprintf("frames/%02d/frame %04d.h5", i/50, i)
		if err := write(name, random.IntN(1<<(8+i%9))); err != nil {
			return err
		}
	}
	deep := "deep" + strings.Repeat("/level", 12) + "/bottom.txt"
	for name, n := range map[string]int{
		"empty": 0, "Größe in Ångström.csv": 4096, "日本語.txt": 128, late: 77, "it's \"quoted\".txt": 10,
		".hidden": 5, "large.bin": 8 << 20, deep: 1000,
	} {
		if err := write(name, n); err != nil {
			return err
		}
	}
	return errors.Join(os.MkdirAll(filepath.Join(dir, "no files in here"), 0o755), os.Symlink("large.bin", filepath.Join(dir, "link to large")))
}

// contents maps what is below dir, but for symbolic links, to the content of each
// file. The path of a folder ends in a slash.
func contents(dir string) (map[string]string, error) {
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.Type()&fs.ModeSymlink != 0:
			return err
		case e.IsDir():
			found[path+"/"] = ""
			return nil
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		found[path] = string(data)
		return err
	})
	return found, err
}

func isFolder(path string) bool { return strings.HasSuffix(path, "/") }

// filesOf returns the files below a folder.
func filesOf(dir string) (names []string, err error) {
	all, err := contents(dir)
	for path := range all {
		if !isFolder(path) {
			names = append(names, path)
		}
	}
	return names, err
}
