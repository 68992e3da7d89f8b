package jobs_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

func TestBatchReadsGlobusCLIsFormat(t *testing.T) {
	const text = `# files
/a/1.dat /b/1.dat

"/with blank/2.dat"  '/b/it''s 2.dat'   # a comment
/a/dir /b/dir -r
--recursive a\ b "c\"d"
"e\\" "g\ h"
--external-checksum 9a0364b9e99bb480dd25e1f0284c8555 /x#y /b/y
-- -odd -r
`
	want := []jobs.BatchLine{
		{Line: 2, Source: "/a/1.dat", Destination: "/b/1.dat"},
		{Line: 4, Source: "/with blank/2.dat", Destination: "/b/its 2.dat"},
		{Line: 5, Source: "/a/dir", Destination: "/b/dir", Recursive: new(true)},
		{Line: 6, Source: "a b", Destination: `c"d`, Recursive: new(true)},
		{Line: 7, Source: `e\`, Destination: `g\ h`},
		{Line: 8, Source: "/x#y", Destination: "/b/y", ExternalChecksum: "9a0364b9e99bb480dd25e1f0284c8555"},
		{Line: 9, Source: "-odd", Destination: "-r"},
	}
	var got []jobs.BatchLine
	for line, err := range jobs.Batch(strings.NewReader(text), 2) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestBatchReadsTextOfEverySystem(t *testing.T) {
	utf16 := func(order binary.AppendByteOrder, text string) string {
		var out []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			out = order.AppendUint16(out, unit)
		}
		return string(out)
	}
	const text = "# Größe\r\n\"a é.h5\"\tb\r\n\r\n😀 c\r\n"
	tests := map[string]string{
		"Unix":                    strings.ReplaceAll(text, "\r", ""),
		"Windows":                 text,
		"old Mac":                 strings.ReplaceAll(text, "\n", ""),
		"byte order mark":         "\ufeff" + text,
		"a mark in each of lines": strings.ReplaceAll(text, "\n", "\n\ufeff"),
		"UTF-16 of Windows":       utf16(binary.LittleEndian, "\ufeff"+text),
		"UTF-16, big endian":      utf16(binary.BigEndian, "\ufeff"+text),
		"without a last line end": strings.TrimSuffix(text, "\r\n"),
	}
	want := []jobs.BatchLine{{Line: 2, Source: "a é.h5", Destination: "b"}, {Line: 4, Source: "😀", Destination: "c"}}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				var got []jobs.BatchLine
				for line, err := range jobs.Batch(r, 2) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, line)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("lines (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestBatchNamesTheLineOfAMistake(t *testing.T) {
	tests := map[string]struct {
		text   string
		fields int
		want   string
	}{
		"one path":             {"/a /b\n/a\n", 2, `line 2: the destination is missing: there is only "/a", want SOURCE DESTINATION`},
		"one path, CR":         {"/a /b\r/a\r", 2, "line 2: the destination is missing"},
		"three paths":          {"/a /b /c\n", 2, "line 1: got 3 paths, want SOURCE DESTINATION; a path with blanks in it needs quotes"},
		"open quote":           {"\n\n'/a /b\n", 2, `line 3: the quote ' is not closed; one that is part of a name is written \'`},
		"last backslash":       {`/a /b\`, 2, "line 1: the line ends in a backslash"},
		"unknown option":       {"--mirror /a /b", 2, "line 1: unknown option --mirror, want --recursive (-r), "},
		"empty path":           {`"" /b`, 2, "line 1: a path is empty"},
		"two to delete":        {"/a /b", 1, "line 1: got 2 paths, want one path a line"},
		"only an option":       {"-r", 2, "line 1: there is no path, want SOURCE DESTINATION"},
		"checksum absent":      {"/a /b --external-checksum", 2, "unknown option --external-checksum"},
		"endless line":         {"/a /b\n" + strings.Repeat("x", 2<<20), 2, "line 2 has more than 1048576 bytes"},
		"endless comment":      {"# " + strings.Repeat("x", 2<<20) + "\n/a /b\n", 2, "line 1 has more than 1048576 bytes"},
		"Latin-1":              {"/a /b\n/caf\xe9 /c\n", 2, `line 2: "/caf\xe9" is not UTF-8 (byte 0xe9), so another path would be sent`},
		"half of a character":  {"/a '/\xc3'\n", 2, "is not UTF-8 (byte 0xc3)"},
		"UTF-16 without mark":  {"/\x00a\x00 \x00/\x00b\x00\n\x00", 2, "line 1: there is a NUL in it, so this is not text, or it is UTF-16 without a byte order mark"},
		"half a pair":          {"\xff\xfe/\x00\x00\xd8 \x00b\x00", 2, "line 1: \"/\\xff\" is not UTF-8"},
		"half a character":     {"\xff\xfe/\x00a\x00 \x00/\x00b\x00c", 2, "is not UTF-8"},
		"binary":               {"\x7fELF\x00\x01", 2, "line 1: there is a NUL in it"},
		"no-break space":       {"a.h5\u00a0b.h5", 2, `line 1: the destination is missing: "a.h5\u00a0b.h5" has U+00A0 in it, which looks like a blank and is none`},
		"no-break at the end":  {"a.h5 b.h5\u00a0", 2, "begins or ends with U+00A0"},
		"ideographic space":    {"a.h5\u3000b.h5", 2, "U+3000"},
		"CSV":                  {"a.h5,b.h5", 2, "line 1: the destination is missing: a batch is not CSV; put a blank or tab between the paths, and not a ','"},
		"CSV with quotes":      {`"a 1.h5","b.h5"`, 2, "a batch is not CSV"},
		"CSV with blanks":      {"a.h5, b.h5", 2, `line 1: the path "a.h5," ends with ',': a batch is not CSV`},
		"semicolons, blanks":   {"a.h5; b.h5", 2, `line 1: the path "a.h5;" ends with ';'`},
		"Latin-1 after U+FFFD": {"/\ufffd/caf\xe9 /c", 2, "is not UTF-8 (byte 0xe9)"},
		"semicolons":           {"a.h5;b.h5", 2, "and not a ';'"},
		"Windows":              {`C:\data\run7\f.raw /o/f.raw`, 2, `line 1: "C:\\data\\run7\\f.raw" is a path of Windows; write /C/data/run7/f.raw`},
		"Windows in quotes":    {`"c:\my data\f.raw" /o/f.raw`, 2, "write /C/my data/f.raw"},
		"Windows, slashes":     {`C:/data/f.raw /o/f.raw`, 2, "write /C/data/f.raw"},
		"Windows, destination": {`/o/f.raw D:\f.raw`, 2, "write /D/f.raw"},
		"Windows, relative":    {`run7\f.raw /o/f.raw`, 2, "write run7/f.raw"},
		"Windows, deep":        {`/C/data\run7\f.raw /o/f.raw`, 2, "has a backslash in it, which a batch takes for a quote; write /C/data/run7/f.raw"},
		"share":                {`\\server\share\f.raw /o/f.raw`, 2, "is a network share of Windows"},
		"file URL":             {`file:///data/f.raw /o/f.raw`, 2, "write the path alone, /data/f.raw"},
		"control character":    {"'/a\x1b[2J' /b", 2, "has the invisible character U+001B in it"},
		"tab in quotes":        {"'/a\tb' /b", 2, "has the invisible character U+0009 in it"},
		"mark in a path":       {"/a /\ufeffb", 2, "has the invisible character U+FEFF in it"},
		"leads up":             {"../a b", 2, "has .. in it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var last error
			for _, err := range jobs.Batch(strings.NewReader(tt.text), tt.fields) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", last, tt.want)
			}
		})
	}
}

// What only looks like a mistake is a name.
func TestBatchTakesOddNames(t *testing.T) {
	for _, name := range []string{"/a,b", "/Screenshot 3.04\u202fPM.png", "/scan[1].tif", `/dev\x2duuid`, "/a:b", "/\ufffdcaf\u00e9", "/it's", "-r", "/a;b", "./a\\b"} {
		quoted := "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
		n := 0
		for line, err := range jobs.Batch(strings.NewReader("-- "+quoted+" "+quoted), 2) {
			if n++; err != nil || line.Source != name || line.Destination != name {
				t.Errorf("got %+v, %v, want %q", line, err, name)
			}
		}
		if n != 1 {
			t.Errorf("%s: got %d lines, want 1", quoted, n)
		}
	}
}

func TestItemsOfABatchAreCheckedTogether(t *testing.T) {
	doc := func(edits ...func(*transfer.Transfer)) *transfer.Transfer {
		doc := &transfer.Transfer{SourceEndpoint: "lab", DestinationEndpoint: "vault", Items: []transfer.Item{{SourcePath: "/data/", DestinationPath: "/in"}}}
		for _, edit := range edits {
			edit(doc)
		}
		return doc
	}
	alike := func(d *transfer.Transfer) { d.DestinationEndpoint = "lab" }
	mirror := func(d *transfer.Transfer) { d.DeleteDestinationExtra = true }
	tests := map[string]struct {
		doc  *transfer.Transfer
		text string
		want string // empty if it is good
	}{
		"good":                        {doc(), "a b\n/a /b\n~/a ~/b\n", ""},
		"nothing":                     {doc(), "# only a comment\n\n", "there is no line with paths in it"},
		"empty":                       {doc(), "", "there is no line with paths in it"},
		"two of one destination":      {doc(), "p1/s.fq s.fq\np2/s.fq s.fq\n", "line 2: the destination /in/s.fq is that of line 1 as well"},
		"the same written otherwise":  {doc(), "a ./x//y\nb z\n# c\nc /in/x/y/\n", "line 4: the destination /in/x/y/ is that of line 1 as well"},
		"far apart":                   {doc(), numbered(3000) + "/x 7\n", "line 3001: the destination /in/7 is that of line 8 as well"},
		"into a folder of another":    {doc(), "-r a/ x/\nb x/b\n", ""},
		"mirrored folder in another":  {doc(mirror), "-r a/ x/\nb x/b\n", "line 2: the destination /in/x/b and that of line 1 lie one inside the other"},
		"mirrored folder around":      {doc(mirror), "b x/y/b\nq q\n-r a/ x/\n", "line 3: the destination /in/x/ and that of line 1 lie one inside the other"},
		"mirrored folders side by":    {doc(mirror), "-r a/ x/\n-r b/ y/\n", ""},
		"onto itself":                 {doc(alike), "/a /a\n", "line 1: source and destination are the same"},
		"onto itself with a slash":    {doc(alike), "-r /a/ /a\n", "line 1: source and destination are the same"},
		"into itself":                 {doc(alike), "x y\n/a/ /a/b/\n", "line 2: the destination is inside the source"},
		"home into itself":            {doc(alike), "~/ ~/b/\n", "line 1: the destination is inside the source"},
		"beside itself":               {doc(alike), "/a/ /ab/\n", ""},
		"wildcard":                    {doc(), "*.h5 x/\n", `line 1: path "/data/*.h5" has a wildcard, which Globus takes literally here; copy the folder /data/ recursively, with filter rules that include "*.h5" and exclude "*"`},
		"wildcard in a folder":        {doc(), "run*/*.h5 x/\n", "name each folder or file, or copy the whole folder above"},
		"file into a folder":          {doc(), "--no-recursive a.h5 x/\n", "line 1: the source is a file, but /in/x/ is a folder; write /in/x/a.h5"},
		"file with sum into a folder": {doc(), "--external-checksum 12ab a.h5 x/\n", "write /in/x/a.h5"},
		"folder that is no folder":    {doc(), "--no-recursive a/ x/\n", "line 1: a source that ends in / is a folder"},
		"sum of a folder":             {doc(), "--external-checksum 12ab a/ x/\n", "line 1: a checksum is of a file"},
		"nowhere":                     {&transfer.Transfer{}, "a /b\n", `line 1: path "a" is not absolute; write /a, or ~/a below the default directory`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := jobs.CheckItems(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(tt.text)), nil }, tt.doc)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			var last error
			for _, last = range jobs.Items(strings.NewReader(tt.text), tt.doc) {
			}
			if fmt.Sprint(last) != fmt.Sprint(err) {
				t.Errorf("in one pass: got %v, want %v", last, err)
			}
		})
	}
}

func TestAlgorithmStandsBesideAChecksumOnly(t *testing.T) {
	doc := &transfer.Transfer{Items: []transfer.Item{{SourcePath: "/a", DestinationPath: "/b", ChecksumAlgorithm: "SHA256"}}}
	var got []string
	for item, err := range jobs.Items(strings.NewReader("x x\n--external-checksum 12ab y y\n"), doc) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, item.ExternalChecksum+" "+item.ChecksumAlgorithm)
	}
	if diff := cmp.Diff([]string{" ", "12ab SHA256"}, got); diff != "" {
		t.Errorf("checksums and algorithms (-want +got):\n%s", diff)
	}
}

// numbered is a batch of n lines with destinations from 0.
func numbered(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "/x %d\n", i)
	}
	return text.String()
}

// What is read comes back, or is refused; never both, and never as another
// path.
func FuzzBatch(f *testing.F) {
	f.Add("/a b", "/ü'#\"")
	f.Add("-r", `\`)
	f.Add("C:\\data", "a\u00a0b")
	f.Fuzz(func(t *testing.T, src, dst string) {
		if src == "" || dst == "" || len(src)+len(dst) > 1<<18 {
			t.Skip("not a path")
		}
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		for line, err := range jobs.Batch(strings.NewReader("-- "+quote(src)+" "+quote(dst)), 2) {
			if err == nil && (line.Source != src || line.Destination != dst) {
				t.Errorf("got %+v, want %q and %q", line, src, dst)
			}
		}
	})
}

func FuzzItems(f *testing.F) {
	f.Add("/a /b\r\n~/c 'd e'\n", "/data/", true)
	f.Add("\xff\xfe/\x00a\x00 \x00/\x00b\x00", "", false)
	f.Add("\ufeff-r a/ b/\ra/ ../b/\n", "~", true)
	f.Add("*.h5 C:\\x\n,\u00a0;\n", "/x", false)
	f.Fuzz(func(t *testing.T, text, folder string, mirror bool) {
		doc := &transfer.Transfer{DeleteDestinationExtra: mirror, Items: []transfer.Item{{SourcePath: folder, DestinationPath: folder}}}
		var over bool
		taken := map[string]bool{}
		check := func(p string) {
			if !utf8.ValidString(p) || !strings.HasPrefix(p, "/") || strings.ContainsFunc(p, unicode.IsControl) || slices.Contains(strings.Split(p, "/"), "..") {
				t.Errorf("got the path %q", p)
			}
		}
		for item, err := range jobs.Items(strings.NewReader(text), doc) {
			if over {
				t.Error("there is more after an error")
			}
			if err != nil {
				if over = true; item != (transfer.Item{}) {
					t.Errorf("got %+v and %v, want one of them", item, err)
				}
				continue
			}
			check(item.SourcePath)
			check(item.DestinationPath)
			if to := path.Clean(item.DestinationPath); taken[to] || to == path.Clean(item.SourcePath) {
				t.Errorf("%s is copied twice or onto itself", to)
			} else {
				taken[to] = true
			}
		}
		for item, err := range jobs.DeleteItems(strings.NewReader(text), folder, mirror) {
			switch clean := strings.Trim(path.Clean(item.Path), "/~"); {
			case err != nil && item.Path != "":
				t.Errorf("got %+v and %v, want one of them", item, err)
			case err == nil && clean == "":
				t.Errorf("%q would be deleted", item.Path)
			case err == nil:
				check(item.Path)
			}
		}
	})
}

func ExampleBatch() {
	for line, err := range jobs.Batch(strings.NewReader("-r '/raw data/' /archive/\n"), 2) {
		fmt.Println(line.Source, line.Destination, *line.Recursive, err)
	}
	// Output: /raw data/ /archive/ true <nil>
}

func BenchmarkCheckItems(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "frames/%03[1]d/frame-%06[2]d.h5 2026/%03[1]d/frame-%06[2]d.h5\n", i/1000, i)
	}
	doc := &transfer.Transfer{DestinationEndpoint: "vault", Items: []transfer.Item{{SourcePath: "/data/", DestinationPath: "/raw/"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jobs.CheckItems(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text.String())), nil }, doc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/line")
}

func TestAllBadLinesOfABatchAreTold(t *testing.T) {
	doc := &transfer.Transfer{Items: []transfer.Item{{SourcePath: "/x/", DestinationPath: "/y/"}}}
	check := func(text string) (int, error) {
		return jobs.CheckItems(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, doc)
	}
	_, err := check("a b\nc\n'd e\nf b\n")
	wrong, ok := errors.AsType[jobs.LineFaults](err)
	if !ok || len(wrong) != 2 || !strings.Contains(err.Error(), "line 2: the destination is missing") || !strings.Contains(err.Error(), "; line 3: the quote") {
		t.Errorf("got %v, want the lines 2 and 3", err)
	}
	if _, err := check(strings.Repeat("c\n", 1000)); strings.Count(err.Error(), "line ") != 10 || !strings.HasSuffix(err.Error(), "; and perhaps more") {
		t.Errorf("got %v, want ten lines", err)
	}
	given := 0
	for _, err := range jobs.Items(strings.NewReader("a b\nc\nd e\n"), doc) {
		if given++; (err != nil) != (given == 2) {
			t.Errorf("got %v as number %d", err, given)
		}
	}
	if given != 2 {
		t.Errorf("got %d, want one item and the error", given)
	}
}
