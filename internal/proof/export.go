package proof

import (
	"archive/tar"
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Open opens a receipt at its beginning each time it is called.
type Open func() (*Reader, error)

// WriteCSV writes the rows of a receipt as CSV with a header.
func WriteCSV(w io.Writer, r *Reader) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"row", "source", "destination", "size", "checksum", "algorithm", "modified", "code"}); err != nil {
		return err
	}
	for row, err := range r.Rows() {
		if err != nil {
			return err
		}
		if err := out.Write(row.cells()); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (r *Row) cells() []string {
	switch {
	case r.Item != nil:
		return []string{"item", r.Item.Source, r.Item.Destination, "", "", "", "", ""}
	case r.Copied != nil:
		c := r.Copied
		return []string{"copied", c.Source, c.Destination, strconv.FormatInt(c.Size, 10), c.Checksum, c.Algorithm, "", ""}
	case r.Found != nil:
		return []string{"found", r.Found.Path, "", strconv.FormatInt(r.Found.Size, 10), "", "", cell(r.Found.Modified), ""}
	case r.Landed != nil:
		return []string{"landed", r.Landed.Source, r.Landed.Destination, strconv.FormatInt(r.Landed.Size, 10), "", "", cell(r.Landed.Modified), ""}
	}
	return []string{"skipped", r.Skipped.Source, r.Skipped.Destination, "", "", "", "", r.Skipped.Code}
}

func cell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// algorithmName returns an algorithm as BagIt writes it: md5, sha256.
func algorithmName(a string) string {
	return strings.ReplaceAll(strings.ToLower(a), "-", "")
}

// WriteSums writes the checksums of the copies in the form of sha256sum, or of
// the tool for another algorithm. Paths are relative to the folder that [Below]
// returns. If a copy has no checksum of this algorithm, nothing is written and
// the error is a [*ChecksumError].
func WriteSums(w io.Writer, open Open, algorithm string) error {
	f, err := survey(open)
	if err != nil {
		return err
	}
	if err := f.only(algorithm); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	err = f.each(open, func(name, checksum string) error {
		mark := ""
		if strings.ContainsAny(name, "\\\n\r") {
			mark = `\`
			name = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
		}
		_, err := fmt.Fprintf(out, "%s%s  %s\n", mark, checksum, name)
		return err
	})
	return errors.Join(err, out.Flush())
}

// Below returns the deepest folder at the destination that contains all copies
// of a receipt, with a slash at its end.
func Below(open Open) (string, error) {
	f, err := survey(open)
	if err != nil {
		return "", err
	}
	return f.below, nil
}

// facts are what a first pass over a receipt finds out about its copies.
type facts struct {
	head        Receipt
	below       string         // the folder that contains all of them
	files       int64          // copies
	bytes       int64          // of all copies
	algorithms  map[string]int // number of copies by the algorithm of their checksum; "" without one
	withoutPath int
}

func survey(open Open) (*facts, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	f := &facts{head: r.Receipt, algorithms: map[string]int{}}
	for c, err := range copies(r) {
		if err != nil {
			return nil, err
		}
		folder := path.Dir(c.Destination)
		switch {
		case c.Destination == "":
			f.withoutPath++
			continue
		case f.files == 0:
			f.below = folder
		}
		for f.below != "/" && f.below != "." && folder != f.below && !strings.HasPrefix(folder, f.below+"/") {
			f.below = path.Dir(f.below)
		}
		f.files++
		f.bytes += c.Size
		name := algorithmName(c.Algorithm)
		if c.Checksum == "" {
			name = ""
		}
		f.algorithms[name]++
	}
	if f.below = strings.TrimSuffix(f.below, "/") + "/"; f.files == 0 {
		f.below = "/"
	}
	return f, nil
}

// copies yields the copies of a receipt. It reads the receipt to its end.
func copies(r *Reader) iter.Seq2[*Copied, error] {
	return func(yield func(*Copied, error) bool) {
		for row, err := range r.Rows() {
			if err != nil {
				yield(nil, err)
				return
			}
			if row.Copied != nil && !yield(row.Copied, nil) {
				return
			}
		}
	}
}

// A ChecksumError says that not all copies of a receipt have a checksum of the
// requested algorithm.
type ChecksumError struct {
	Only string // the algorithm of which all of them have one, as BagIt writes it (md5); may be empty
	text string
}

func (e *ChecksumError) Error() string { return e.text }

// only returns an error unless all copies have a checksum of this algorithm.
func (f *facts) only(algorithm string) error {
	want := algorithmName(algorithm)
	var has []string
	other := ""
	for name, n := range f.algorithms {
		if name != want {
			has = append(has, fmt.Sprintf("%d by %s", n, cmp.Or(name, "no algorithm")))
			other = name
		}
	}
	slices.Sort(has)
	if len(f.algorithms) > 1 {
		other = ""
	}
	switch {
	case f.withoutPath > 0:
		return fmt.Errorf("%d copies have no path at the destination: the identity may not see it there", f.withoutPath)
	case len(has) > 0:
		return &ChecksumError{other, fmt.Sprintf("not all of %d copies have a checksum by %s, but %s", f.files, want, strings.Join(has, ", "))}
	}
	return nil
}

// each calls do with the path and the checksum of each copy.
func (f *facts) each(open Open, do func(name, checksum string) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	for c, err := range copies(r) {
		if err == nil {
			err = do(strings.TrimPrefix(c.Destination, f.below), strings.ToLower(c.Checksum))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteBag writes the tag files of a BagIt 1.0 bag as a tar. Unpacked beside a
// folder data with the copies, they make a bag. All copies must have a checksum
// of the same algorithm. Paths are as in [WriteSums].
func WriteBag(w io.Writer, open Open) error {
	f, err := survey(open)
	if err != nil {
		return err
	}
	algorithm, err := f.bagAlgorithm()
	if err != nil {
		return err
	}
	manifest := tagFile{"manifest-" + algorithm + ".txt", 0, func(w io.Writer) error { return f.writeManifest(w, open) }}
	// A first pass, because a tar has the size of a file before its text.
	var size count
	sum := sha256.New()
	if err := manifest.write(io.MultiWriter(&size, sum)); err != nil {
		return err
	}
	manifest.size = int64(size)
	bag := "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
	info := fmt.Sprintf("Bag-Software-Agent: globus-runner\nBagging-Date: %s\nExternal-Identifier: %s\nPayload-Oxum: %d.%d\n",
		f.head.Completed.UTC().Format(time.DateOnly), f.head.TaskID, f.bytes, f.files)
	tags := fmt.Sprintf("%s  bagit.txt\n%s  bag-info.txt\n%s  %s\n", sumOf(bag), sumOf(info), hex.EncodeToString(sum.Sum(nil)), manifest.name)
	return writeTar(w, f.head.Completed,
		tagText("bagit.txt", bag), tagText("bag-info.txt", info), manifest, tagText("tagmanifest-sha256.txt", tags))
}

// bagAlgorithm returns the one algorithm by which all copies have a checksum.
func (f *facts) bagAlgorithm() (string, error) {
	algorithm := "sha512"
	for name := range f.algorithms { // if there is more than one, only fails
		algorithm = name
	}
	if err := f.only(algorithm); err != nil {
		return "", err
	}
	if strings.Trim(algorithm, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || algorithm == "" {
		return "", fmt.Errorf("a bag needs checksums by an algorithm, and the %d copies have %q: was verify_checksum off?", f.files, algorithm)
	}
	return algorithm, nil
}

// writeManifest writes a line for each copy, in the form of BagIt.
func (f *facts) writeManifest(w io.Writer, open Open) error {
	out := bufio.NewWriter(w)
	err := f.each(open, func(name, checksum string) error {
		name = strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(name)
		_, err := fmt.Fprintf(out, "%s  data/%s\n", checksum, name)
		return err
	})
	return errors.Join(err, out.Flush())
}

// A tagFile is a file of a bag beside its data.
type tagFile struct {
	name  string
	size  int64
	write func(io.Writer) error
}

func tagText(name, text string) tagFile {
	return tagFile{name, int64(len(text)), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
}

func writeTar(w io.Writer, modified time.Time, files ...tagFile) error {
	out := tar.NewWriter(w)
	for _, file := range files {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: file.name, Size: file.size, Mode: 0o644, ModTime: modified}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if err := file.write(out); err != nil {
			return err
		}
	}
	return out.Close()
}

func sumOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// A count counts the bytes that are written to it.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}
