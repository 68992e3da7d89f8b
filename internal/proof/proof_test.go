package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/globus-runner/globus-runner/internal/proof"
	"github.com/globus-runner/globus-runner/test/long"
	"github.com/globus-runner/globus-runner/transfer"
)

var (
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	key  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	head = proof.Receipt{
		Run: 12, Job: "nightly", Key: "2026-11-20T12:00:00Z", Attempt: 1, TaskID: "0f100000-0000-4000-8000-0000000000f1",
		Source: "lab", Destination: "vault", Listed: noon, Requested: noon.Add(time.Second), Completed: noon.Add(time.Minute),
		Options: proof.Options{
			SyncLevel: new(3), VerifyChecksum: true,
			FilterRules: []transfer.FilterRule{{Method: "exclude", Name: "*.tmp"}},
		},
	}
)

func copied(source, destination string, size int64) proof.Row {
	return proof.Row{Copied: &proof.Copied{
		Source: source, Destination: destination, Size: size, Checksum: fmt.Sprintf("%064x", size), Algorithm: "SHA256",
	}}
}

func found(path string, size int64) proof.Row {
	return proof.Row{Found: &proof.Found{Path: path, Size: size, Modified: noon.Add(-time.Hour)}}
}

// some are rows in the order of a receipt.
func some() []proof.Row {
	return []proof.Row{
		{Item: &proof.Item{Source: "/out/", Destination: "/in/", Recursive: new(true)}},
		copied("/out/a <b>&\n\\\u2028", "/in/a <b>&\n\\\u2028", 1),
		copied("/out/z", "/in/z", 2),
		copied("/out/a/x", "/in/a/x", 3),
		found("/out/a", 1),
		found("/out/z", 2),
		found("/out/a/x", 3),
		{Landed: &proof.Landed{Source: "/out/z", Destination: "/in/z", Size: 2, Modified: noon.Add(30 * time.Second)}},
		{Skipped: &proof.Skipped{Source: "/out/locked", Destination: "/in/locked", Code: "PERMISSION_DENIED", Folder: true}},
	}
}

// write returns a receipt and its seal.
func write(t testing.TB, rows []proof.Row, number int64, previous proof.Digest, key ed25519.PrivateKey) (string, proof.Seal) {
	t.Helper()
	var b strings.Builder
	w, err := proof.NewWriter(&b, head)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	counts, content := w.Sum()
	s := proof.NewSeal(counts, content, number, previous, key)
	end, err := s.Line()
	if err != nil {
		t.Fatal(err)
	}
	b.Write(end)
	return b.String(), s
}

func TestReceiptIsReadAsItWasWritten(t *testing.T) {
	text, seal := write(t, some(), 3, "sha256:00", key)
	r, err := proof.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var rows []proof.Row
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	again, _ := write(t, rows, 3, "sha256:00", key)
	if again != text || r.Seal != seal || r.Receipt.Job != "nightly" || *r.Receipt.Options.SyncLevel != 3 {
		t.Errorf("got the receipt\n%s\nand the seal %+v, want\n%s\nand %+v", again, r.Seal, text, seal)
	}
	if want := (proof.Counts{Items: 1, Copied: 3, Found: 3, Landed: 1, Skipped: 1}); r.Seal.Counts != want {
		t.Errorf("got %+v, want %+v", r.Seal.Counts, want)
	}
}

func TestVerifyFindsEveryChange(t *testing.T) {
	text, _ := write(t, some(), 1, "", nil)
	if _, _, err := proof.Verify(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	wrong := func(what, text string) {
		if _, _, err := proof.Verify(strings.NewReader(text)); err == nil {
			t.Errorf("%s was not found in\n%s", what, text)
		}
	}
	for i := range len(text) {
		for _, bit := range []byte{1, 2, 4, 16, 32, 128} {
			changed := []byte(text)
			changed[i] ^= bit
			wrong(fmt.Sprintf("a change of byte %d by %d", i, bit), string(changed))
		}
		wrong(fmt.Sprintf("an end at byte %d", i), text[:i])
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		wrong(fmt.Sprintf("line %d, removed,", i+1), strings.Join(slices.Delete(slices.Clone(lines), i, i+1), ""))
		for j := range lines {
			wrong(fmt.Sprintf("line %d, added again at %d,", i+1, j+1), strings.Join(slices.Insert(slices.Clone(lines), j, lines[i]), ""))
			if i != j {
				moved := slices.Clone(lines)
				moved[i], moved[j] = moved[j], moved[i]
				wrong(fmt.Sprintf("an exchange of the lines %d and %d", i+1, j+1), strings.Join(moved, ""))
			}
		}
	}
	wrong("a line at the end", text+"\n")
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	text, _ := write(t, some(), 1, "", nil)
	cut := strings.Index(text, `{"found":`)
	tests := map[string]struct {
		text string
		keys []ed25519.PublicKey
		is   error
		says string
	}{
		"another size":       {strings.Replace(text, `"size":2,"checksum"`, `"size":4,"checksum"`, 1), nil, proof.ErrChanged, "its lines have the digest"},
		"a row that is gone": {text[:cut] + text[cut+strings.Index(text[cut:], "\n")+1:], nil, proof.ErrChanged, "2 found"},
		"another number":     {strings.Replace(text, `"number":1`, `"number":2`, 1), nil, proof.ErrChanged, "its end"},
		"cut":                {text[:cut], nil, io.ErrUnexpectedEOF, "ends after line 5, "},
		"cut in a line":      {text[:cut+3], nil, io.ErrUnexpectedEOF, "ends in line 6, "},
		"empty":              {"", nil, proof.ErrNotReceipt, "it is empty"},
		"text of Windows":    {strings.ReplaceAll(text, "\n", "\r\n"), nil, nil, "its lines end with CR LF"},
		"no signature":       {text, []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, proof.ErrUnsigned, ""},
		"not a receipt":      {"{}\n", nil, proof.ErrNotReceipt, "line 1"},
		"an endless line":    {strings.Repeat("x", 2<<20), nil, nil, "line 1 has more than 1048576 bytes"},
		"of the future":      {strings.Replace(text, `"receipt":1`, `"receipt":2`, 1), nil, proof.ErrNotReceipt, "format 2"},
		"white space":        {strings.Replace(text, `{"item"`, `{ "item"`, 1), nil, nil, "line 2 is not as this program writes it"},
		"an unknown row":     {strings.Replace(text, `{"item"`, `{"idem"`, 1), nil, nil, "line 2"},
		"two rows in a line": {strings.Replace(text, `"recursive":true}}`, `"recursive":true},"copied":{"source":"","destination":"","size":0}}`, 1), nil, nil, "line 2 is neither"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := proof.Verify(strings.NewReader(tt.text), tt.keys...)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v and %q", err, tt.is, tt.says)
			}
		})
	}
}

func TestSignatureIsByTheKey(t *testing.T) {
	text, seal := write(t, some(), 1, "", key)
	if _, _, err := proof.Verify(strings.NewReader(text), key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	if _, _, err := proof.Verify(strings.NewReader(text), other.Public().(ed25519.PublicKey)); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("by another key: got %v", err)
	}
	if _, _, err := proof.Verify(strings.NewReader(text), other.Public().(ed25519.PublicKey), key.Public().(ed25519.PublicKey)); err != nil {
		t.Errorf("by one of two keys: got %v", err)
	}
	// Whoever writes it anew has everything but the key.
	forged, _ := write(t, some()[:4], 1, "", nil)
	forged = strings.Replace(forged, `"}}`+"\n", `","signature":"`+seal.Signature+`"}}`+"\n", 1)
	if _, _, err := proof.Verify(strings.NewReader(forged), key.Public().(ed25519.PublicKey)); err == nil {
		t.Error("a signature of another receipt was taken")
	}
}

func TestDigestContainsTheOneBefore(t *testing.T) {
	_, first := write(t, some(), 1, "", nil)
	_, second := write(t, some(), 2, first.Digest, nil)
	_, other := write(t, some(), 2, "sha256:00", nil)
	_, third := write(t, some(), 3, first.Digest, nil)
	if first.Content != second.Content || second.Digest == other.Digest || second.Digest == third.Digest || second.Digest == first.Digest {
		t.Errorf("got the digests %s, %s, %s, %s", first.Digest, second.Digest, other.Digest, third.Digest)
	}
}

func TestWriterRefusesWhatCouldNotBeRead(t *testing.T) {
	tests := map[string][]proof.Row{
		"not in order":     {found("/b", 1), found("/a", 1)},
		"twice":            {found("/a", 1), found("/a", 1)},
		"kinds mixed":      {found("/a", 1), copied("/b", "/b", 1)},
		"nothing":          {{}},
		"two kinds":        {{Found: found("/a", 1).Found, Item: &proof.Item{}}},
		"longer than read": {found("/"+strings.Repeat("x", 1<<20), 1)},
		"a late year":      {{Found: &proof.Found{Path: "/a", Modified: noon.AddDate(10_000, 0, 0)}}},
		"an early year":    {{Found: &proof.Found{Path: "/a", Modified: noon.AddDate(-3000, 0, 0)}}},
	}
	for name, rows := range tests {
		t.Run(name, func(t *testing.T) {
			w, err := proof.NewWriter(io.Discard, head)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				err = errors.Join(err, w.Write(r))
			}
			if err == nil {
				t.Error("it was written")
			}
		})
	}
}

// A memory is a Scratch.
type memory struct {
	texts  map[int]*bytes.Buffer
	opened int
}

type closer struct {
	io.Reader
	io.Writer
	close func()
}

func (c closer) Close() error {
	c.close()
	return nil
}

func (m *memory) Create(n int) (io.WriteCloser, error) {
	if m.texts == nil {
		m.texts = map[int]*bytes.Buffer{}
	}
	m.texts[n] = new(bytes.Buffer)
	return closer{Writer: m.texts[n], close: func() {}}, nil
}

func (m *memory) Open(n int) (io.ReadCloser, error) {
	m.opened++
	return closer{Reader: bytes.NewReader(m.texts[n].Bytes()), close: func() { m.opened-- }}, nil
}

func TestSorterPutsRowsInOrder(t *testing.T) {
	var want []proof.Row
	want = append(want, proof.Row{Item: &proof.Item{Source: "/", Destination: "/"}})
	for _, folder := range []string{"/", "/a/", "/a/b/", "/b/"} {
		for i := range long.Or(12_000, 8_000) {
			want = append(want, copied(fmt.Sprintf("%s%05d", folder, i), "/x", 1))
		}
	}
	for i := range 100 {
		want = append(want, found(fmt.Sprintf("/%05d", i), 1))
	}
	for name, n := range map[string]int{"in memory": 5_000, "put away": len(want)} {
		t.Run(name, func(t *testing.T) {
			want := want[:n]
			mixed := append(slices.Clone(want), want[:n/3]...) // some come twice
			rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			var scratch memory
			s := proof.NewSorter(&scratch)
			for _, r := range mixed {
				if err := s.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			var got []proof.Row
			for r, err := range s.Rows() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, r)
			}
			texts := func(rows []proof.Row) string {
				text, _ := write(t, rows, 1, "", nil)
				return text
			}
			if len(got) != n || texts(got) != texts(want) {
				t.Errorf("got %d rows, want %d", len(got), n)
			}
			if scratch.opened != 0 || (len(scratch.texts) > 1) != (n > 20_000) {
				t.Errorf("%d texts were put away, %d are still open", len(scratch.texts), scratch.opened)
			}
		})
	}
}

func TestComparePathsIsTheOrderOfListings(t *testing.T) {
	want := []string{"", "/", "/a", "/a.b", "/b", "/a/x", "/a/y", "/a/x/1", "/a.b/x", "/b/c", "/b/c/d", "/b/d/"}
	for i, a := range want {
		for j, b := range want {
			if got := proof.ComparePaths(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: got %d", a, b, got)
			}
		}
	}
}

func TestRowsAreReadInOneFormOnly(t *testing.T) {
	text, _ := write(t, nil, 1, "", nil)
	head, _, _ := strings.Cut(text, "\n")
	const good = `{"landed":{"source":"/a","destination":"/b","size":10,"modified":"2026-11-20T12:00:00Z"}}`
	for what, line := range map[string]string{
		"as written":           good,
		"a space at the end":   good + " ",
		"a leading zero":       strings.Replace(good, "10", "010", 1),
		"no size":              strings.Replace(good, "10", "", 1),
		"an exponent":          strings.Replace(good, "10", "1e1", 1),
		"a large size":         strings.Replace(good, "10", "99999999999999999999", 1),
		"a zone":               strings.Replace(good, "Z", "+00:00", 1),
		"a fraction":           strings.Replace(good, ":00Z", ":00.0Z", 1),
		"a short hour":         strings.Replace(good, "T12", "T1", 1),
		"no such day":          strings.Replace(good, "-20T", "-32T", 1),
		"the zero time":        strings.Replace(good, "2026-11-20T12", "0001-01-01T00", 1),
		"no time":              strings.Replace(good, "2026-11-20T12:00:00Z", "", 1),
		"no destination":       strings.Replace(good, `"destination":"/b",`, "", 1),
		"an escape":            strings.Replace(good, "/b", `/\u0062`, 1),
		"a separator of lines": strings.Replace(good, "/b", "/\u2028", 1),
		"a tab":                strings.Replace(good, "/b", "/\t", 1),
		"a broken letter":      strings.Replace(good, "/b", "/\xff", 1),
		"an empty checksum":    `{"copied":{"source":"/a","destination":"/b","size":10,"checksum":""}}`,
		"an open checksum":     `{"copied":{"source":"/a","destination":"/b","size":10,"checksum":"00}}`,
	} {
		r, err := proof.NewReader(strings.NewReader(head + "\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		read := false
		for row, err := range r.Rows() {
			read = read || err == nil && row.Landed != nil || row.Copied != nil
		}
		if read != (line == good) {
			t.Errorf("%s: a row is read: %t, of %s", what, read, line)
		}
	}
}

// jsonLine is the line of a row as package json writes it.
func jsonLine(t testing.TB, row proof.Row) string {
	t.Helper()
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(row); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// Rows are written and read as by package json, whatever is in them.
func FuzzRow(f *testing.F) {
	at := noon.Unix()
	for _, path := range []string{"", "/out/é <b>", "/\u2028", "/\u2029", "/\ufffd", "/\xff", "/\"", "/\\", "/\n", "/\x7f", "/\t", "/\x1f"} {
		f.Add(path, "/in/a", int64(3), "00ff", "SHA256", at, int64(0), true)
		f.Add("/out/a", path, int64(0), path, path, at, int64(0), true)
	}
	f.Add("/out/a", "/in/a", int64(-1), "", "", at, int64(1), true)
	f.Add("/out/a", "/in/a", int64(1), "", "", at, int64(0), false)
	f.Add("/out/a", "/in/a", int64(1<<62), "", "MD5", int64(-62135596800), int64(0), true) // the zero time
	f.Add("/out/a", "/in/a", int64(10), "f", "", int64(253402300799), int64(0), true)      // the last year
	f.Fuzz(func(t *testing.T, source, destination string, size int64, checksum, algorithm string, seconds, nanoseconds int64, utc bool) {
		modified := time.Unix(seconds, nanoseconds)
		if modified = modified.UTC(); !utc {
			modified = modified.In(time.FixedZone("", 3600))
		}
		if y := modified.Year(); y < 0 || y > 9998 {
			modified = time.Time{}
		}
		for _, row := range []proof.Row{
			{Copied: &proof.Copied{Source: source, Destination: destination, Size: size, Checksum: checksum, Algorithm: algorithm}},
			{Found: &proof.Found{Path: source, Size: size, Modified: modified}},
			{Landed: &proof.Landed{Source: source, Destination: destination, Size: size, Modified: modified}},
		} {
			var text strings.Builder
			if err := proof.Append(&text, row); err != nil {
				t.Fatal(err)
			}
			want := jsonLine(t, row)
			if text.String() != want {
				t.Errorf("got %q, want %q", text.String(), want)
			}
			var wantRow proof.Row // of bytes that are not UTF-8 it has something else
			if err := json.Unmarshal([]byte(want), &wantRow); err != nil {
				t.Fatal(err)
			}
			for again, err := range proof.Lines(strings.NewReader(want)) {
				if err != nil || !reflect.DeepEqual(again, wantRow) {
					t.Errorf("got %s and %v, want %s", jsonLine(t, again), err, want)
				}
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	text, _ := write(f, some(), 1, "", key)
	f.Add([]byte(text))
	for _, line := range strings.SplitAfter(text, "\n") {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := proof.NewReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		w, err := proof.NewWriter(&b, r.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		for row, err := range r.Rows() {
			if err != nil {
				return
			}
			var same bool
			if rest, same = bytes.CutPrefix(rest, []byte(jsonLine(t, row))); !same {
				t.Fatalf("got the row %s of the text %q", jsonLine(t, row), rest)
			}
			if err := w.Write(row); err != nil {
				t.Fatalf("%v was read and cannot be written: %v", row, err)
			}
		}
		end, err := r.Seal.Line()
		if err != nil {
			t.Fatal(err)
		}
		if b.Write(end); !bytes.Equal(b.Bytes(), text) {
			t.Errorf("got %q, want %q", b.Bytes(), text)
		}
	})
}

func TestMemoryDoesNotGrowWithTheRows(t *testing.T) {
	if testing.Short() {
		t.Skip("200 000 rows")
	}
	files, most := long.Or(200_000, 100_000), int64(8<<20) // bytes
	pr, pw := io.Pipe()
	go func() {
		w, err := proof.NewWriter(pw, head)
		for i := 0; i < files && err == nil; i++ {
			err = w.Write(copied(fmt.Sprintf("/out/a-rather-long-name-of-a-folder/file-%07d", i), fmt.Sprintf("/in/%07d", i), int64(i)))
		}
		if err == nil {
			counts, content := w.Sum()
			seal := proof.NewSeal(counts, content, 1, "", nil)
			var end []byte
			if end, err = seal.Line(); err == nil {
				_, err = pw.Write(end)
			}
		}
		pw.CloseWithError(err)
	}()
	r, err := proof.NewReader(pr)
	if err != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	for _, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > most {
				t.Fatalf("after %d rows the heap has grown by %d bytes", n, grown)
			}
		}
	}
	if n != files {
		t.Errorf("got %d rows", n)
	}
}
