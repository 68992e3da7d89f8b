package proof_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/internal/proof"
)

// opener opens a receipt of this text.
func opener(text string) proof.Open {
	return func() (*proof.Reader, error) { return proof.NewReader(strings.NewReader(text)) }
}

// names are hard to write into a manifest.
var names = []string{"with space", " before", "*star", "back\\slash", "line\nfeed", "return\rhere", "100%25", "ümlaut", "a/deep/er", "-dash", "\\n"}

// delivered makes files below dir and the rows of their receipt.
func delivered(t *testing.T, dir string) []proof.Row {
	t.Helper()
	s := proof.NewSorter(nil)
	for i, name := range names {
		content := fmt.Sprint(i)
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(content))
		row := proof.Row{Copied: &proof.Copied{
			Source: "/out/" + name, Destination: "/vault/in/" + name, Size: int64(len(content)),
			Checksum: strings.ToUpper(hex.EncodeToString(sum[:])), Algorithm: "SHA-256",
		}}
		if err := s.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	var rows []proof.Row
	for r, err := range s.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return append(rows, found("/out/x", 1))
}

func TestSumsAreThoseThatSha256sumChecks(t *testing.T) {
	dir := t.TempDir()
	text, _ := write(t, delivered(t, dir), 1, "", nil)
	var sums bytes.Buffer
	if err := proof.WriteSums(&sums, opener(text), "sha256"); err != nil {
		t.Fatal(err)
	}
	check := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "-")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(sums.Bytes())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("there is no sha256sum here")
	}
	if out, err := check(); err != nil || strings.Count(out, ": OK") != len(names) {
		t.Errorf("%v:\n%s\n%s", err, out, sums.String())
	}
	if err := os.WriteFile(filepath.Join(dir, "line\nfeed"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil || strings.Count(out, "FAILED\n") != 1 {
		t.Errorf("a changed file: %v\n%s", err, out)
	}
}

func TestBagIsWhatTheStandardWants(t *testing.T) {
	bag := t.TempDir()
	text, _ := write(t, delivered(t, filepath.Join(bag, "data")), 1, "", nil)
	var archive bytes.Buffer
	if err := proof.WriteBag(&archive, opener(text)); err != nil {
		t.Fatal(err)
	}
	in := tar.NewReader(&archive)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bag, h.Name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	checkBag(t, bag, "sha256")
}

// checkBag checks a bag as RFC 8493 says in its section 3.
func checkBag(t *testing.T, bag, algorithm string) {
	t.Helper()
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(bag, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if got := read("bagit.txt"); got != "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n" {
		t.Errorf("bagit.txt is %q", got)
	}
	listed := map[string]bool{}
	check := func(manifest string) {
		for line := range strings.Lines(read(manifest)) {
			sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
			name = strings.NewReplacer("%0A", "\n", "%0D", "\r", "%25", "%").Replace(name)
			want := sha256.Sum256([]byte(read(name)))
			if !ok || sum != hex.EncodeToString(want[:]) {
				t.Errorf("%s has the line %q, want the checksum %x", manifest, line, want)
			}
			listed[name] = true
		}
	}
	check("manifest-" + algorithm + ".txt")
	check("tagmanifest-sha256.txt")
	var size, files int64
	err := filepath.WalkDir(bag, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(bag, path)
		if !listed[name] && !strings.HasPrefix(name, "tagmanifest-") {
			t.Errorf("%q is in no manifest", name)
		}
		if strings.HasPrefix(name, "data/") {
			size, files = size+int64(len(read(name))), files+1
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Bag-Software-Agent: globus-runner", "Bagging-Date: 2026-11-20", "External-Identifier: " + head.TaskID,
		fmt.Sprintf("Payload-Oxum: %d.%d", size, files), "",
	}
	if d := cmp.Diff(want, strings.Split(read("bag-info.txt"), "\n")); d != "" {
		t.Errorf("bag-info.txt (-want +got):\n%s", d)
	}
}

func TestAnotherAlgorithmOfAllCopiesIsKnown(t *testing.T) {
	by := func(algorithms ...string) proof.Open {
		var rows []proof.Row
		for i, a := range algorithms {
			name := fmt.Sprint(i)
			rows = append(rows, proof.Row{Copied: &proof.Copied{Source: "/out/" + name, Destination: "/in/" + name, Checksum: "00", Algorithm: a}})
		}
		text, _ := write(t, rows, 1, "", nil)
		return opener(text)
	}
	tests := map[string]struct {
		open proof.Open
		want string
	}{
		"all":  {by("MD5", "MD5"), "md5"},
		"some": {by("MD5", "SHA1"), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := proof.WriteSums(io.Discard, tt.open, "sha256")
			if e, ok := errors.AsType[*proof.ChecksumError](err); !ok || e.Only != tt.want {
				t.Errorf("got %#v, want a *proof.ChecksumError about %q", err, tt.want)
			}
		})
	}
}

func TestChecksumsThatAreMissingAreSaid(t *testing.T) {
	with := func(c proof.Copied) proof.Open {
		c.Source = "/out/0"
		text, _ := write(t, []proof.Row{{Copied: &c}, copied("/out/a", "/in/a", 1)}, 1, "", nil)
		return opener(text)
	}
	tests := map[string]struct {
		open      proof.Open
		sums, bag string
	}{
		"another algorithm": {
			with(proof.Copied{Destination: "/in/0", Checksum: "00", Algorithm: "MD5"}),
			"not all of 2 copies have a checksum by sha256, but 1 by md5", "not all of 2 copies",
		},
		"none": {
			with(proof.Copied{Destination: "/in/0", Algorithm: "SHA256"}),
			"but 1 by no algorithm", "not all of 2 copies",
		},
		"no path": {
			with(proof.Copied{Checksum: "00", Algorithm: "SHA256"}),
			"1 copies have no path at the destination", "no path at the destination",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := proof.WriteSums(&out, tt.open, "sha256"); err == nil || !strings.Contains(err.Error(), tt.sums) {
				t.Errorf("sums: got %v", err)
			}
			if err := proof.WriteBag(&out, tt.open); err == nil || !strings.Contains(err.Error(), tt.bag) {
				t.Errorf("bag: got %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("%q was written", out.String())
			}
		})
	}
	text, _ := write(t, []proof.Row{{Copied: &proof.Copied{Source: "/a", Destination: "/b", Checksum: "00", Algorithm: "../x"}}}, 1, "", nil)
	if err := proof.WriteBag(io.Discard, opener(text)); err == nil {
		t.Error("an algorithm that would be a path was taken")
	}
}

func TestBelowIsTheDeepestCommonFolder(t *testing.T) {
	tests := map[string]struct {
		copies []string
		want   string
	}{
		"one file":      {[]string{"/in/a/x"}, "/in/a/"},
		"two folders":   {[]string{"/in/a/x", "/in/ab/x"}, "/in/"},
		"one above":     {[]string{"/in/x", "/in/a/x"}, "/in/"},
		"at the top":    {[]string{"/x", "/y"}, "/"},
		"at home":       {[]string{"/~/x"}, "/~/"},
		"nothing":       {nil, "/"},
		"not absolute":  {[]string{"x", "y/z"}, "./"},
		"far from it":   {[]string{"/a/b/c/x", "/d/e/f/x"}, "/"},
		"without paths": {[]string{""}, "/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var rows []proof.Row
			for i, c := range tt.copies {
				rows = append(rows, copied(fmt.Sprint(i), c, 1))
			}
			text, _ := write(t, rows, 1, "", nil)
			if got, err := proof.Below(opener(text)); err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestCSVHasAllRows(t *testing.T) {
	text, _ := write(t, some(), 1, "", nil)
	r, err := opener(text)()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := proof.WriteCSV(&out, r); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"row", "source", "destination", "size", "checksum", "algorithm", "modified", "code"}
	if d := cmp.Diff(want, got[0]); d != "" || len(got) != 10 {
		t.Errorf("got %d lines, head (-want +got):\n%s", len(got), d)
	}
	for i, want := range map[int]string{
		1: "item,/out/,/in/,,,,,", 3: "copied,/out/z,/in/z,2," + fmt.Sprintf("%064x", 2) + ",SHA256,,",
		6: "found,/out/z,,2,,,2026-11-20T11:00:00Z,", 8: "landed,/out/z,/in/z,2,,,2026-11-20T12:00:30Z,", 9: "skipped,/out/locked,/in/locked,,,,,PERMISSION_DENIED",
	} {
		if line := strings.Join(got[i], ","); line != want {
			t.Errorf("line %d is %q, want %q", i, line, want)
		}
	}
	if got[2][1] != "/out/a <b>&\n\\\u2028" {
		t.Errorf("got the name %q", got[2][1])
	}
}

func TestExportsOfABrokenReceiptEndWithAnError(t *testing.T) {
	text, _ := write(t, some(), 1, "", nil)
	open := opener(strings.Replace(text, `"size":2,"checksum"`, `"size":4,"checksum"`, 1))
	r, err := open()
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"csv": proof.WriteCSV(io.Discard, r), "sums": proof.WriteSums(io.Discard, open, "sha256"), "bag": proof.WriteBag(io.Discard, open),
	} {
		if !errors.Is(err, proof.ErrChanged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
