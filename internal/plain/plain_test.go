package plain_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/internal/plain"
)

func ExampleLine() {
	fmt.Println(plain.Line("data\x1b[2J\n\u202etxt.exe"))
	// Output: data\u001b[2J\n\u202etxt.exe
}

func TestLine(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"common":                {"Größe 数据 (1).h5", "Größe 数据 (1).h5"},
		"emoji":                 {"🧪", "🧪"},
		"combining":             {"e\u0301", "e\u0301"},
		"ideographic space":     {"実験\u3000一", "実験\u3000一"},
		"backslash":             {`C:\new`, `C:\new`},
		"replacement character": {"\ufffd", "\ufffd"},
		"empty":                 {"", ""},
		"C0":                    {"\x00\x07\x1b[31m", `\u0000\u0007\u001b[31m`},
		"DEL":                   {"\x7f", `\u007f`},
		"C1":                    {"\u009b2J\u009d", `\u009b2J\u009d`},
		"line ends":             {"a\nb\rc\vd\fe\u0085f\u2028g\u2029h", `a\nb\rc\u000bd\u000ce\u0085f\u2028g\u2029h`},
		"tab":                   {"a\tb", `a\tb`},
		"overrides":             {"\u202a\u202b\u202c\u202d\u202e", `\u202a\u202b\u202c\u202d\u202e`},
		"isolates":              {"\u2066\u2067\u2068\u2069", `\u2066\u2067\u2068\u2069`},
		"marks":                 {"\u200e\u200f\u061c", `\u200e\u200f\u061c`},
		"no width":              {"\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e", `\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e`},
		"fillers":               {"\u3164\u115f\uffa0\u034f", `\u3164\u115f\uffa0\u034f`},
		"tags":                  {"\U000e0041\U000e007f", `\udb40\udc41\udb40\udc7f`},
		"other blanks":          {"a\u00a0b\u2003c", `a\u00a0b\u2003c`},
		"private use":           {"\ue000", `\ue000`},
		"invalid UTF-8":         {"a\xff\xc3(b\xe2\x82", `a\xff\xc3(b\xe2\x82`},
		"surrogate in UTF-8":    {"\xed\xa0\x80", `\xed\xa0\x80`},
		"C1 as a single byte":   {"\x9b2J", `\x9b2J`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := plain.Line(tt.text); got != tt.want {
				t.Errorf("Line(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestShort(t *testing.T) {
	tests := map[string]struct {
		text  string
		limit int
		want  string
	}{
		"fits":            {"a file", 6, "a file"},
		"words":           {" the\r\n disk\tis \u2028 full ", 40, "the disk is full"},
		"too long":        {"abcdefgh", 5, "abcd…"},
		"characters":      {"äöüäöü", 6, "äöüäöü"},
		"escapes count":   {"\x1b\x1b", 8, `\u001b\…`},
		"a flood":         {strings.Repeat("x", 1<<20), 10, "xxxxxxxxx…"},
		"blanks in front": {strings.Repeat(" ", 100) + "x", 4, "x"},
		"nothing":         {"", 4, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := plain.Short(tt.text, tt.limit); got != tt.want {
				t.Errorf("Short(%.40q, %d) = %q, want %q", tt.text, tt.limit, got, tt.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files"} {
		if got := plain.Count(n, "file"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 73_400_320: "73.4 MB", 5e15: "5.0 PB"} {
		if got := plain.Size(n, " "); got != want {
			t.Errorf("Size(%d): got %q, want %q", n, got, want)
		}
	}
}

func TestSome(t *testing.T) {
	words := []string{"a", "b", "c"}
	for most, want := range map[int]string{4: "a, b, c", 3: "a, b, c", 2: "a, b and 1 more", 1: "a and 2 more"} {
		if got := plain.Some(words, most); got != want {
			t.Errorf("Some(%q, %d): got %q, want %q", words, most, got, want)
		}
	}
}

func TestWriterKeepsLines(t *testing.T) {
	var b strings.Builder
	w := plain.Writer(&b)
	text := "A\tB\n\x1b[2J\r\u202e\n"
	if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("Write = %d, %v; want %d, nil", n, err, len(text))
	}
	if want := "A\tB\n\\u001b[2J\\r\\u202e\n"; b.String() != want {
		t.Errorf("wrote %q, want %q", b.String(), want)
	}
}

func TestWriterPassesErrorsOn(t *testing.T) {
	gone := errors.New("gone")
	if n, err := plain.Writer(broken{gone}).Write([]byte("x")); n != 0 || !errors.Is(err, gone) {
		t.Errorf("Write = %d, %v; want 0, %v", n, err, gone)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func FuzzLine(f *testing.F) {
	for _, s := range []string{"a\x1b[2J", "\u202e", "\xff", "\U000e0041", "a\\nb", "\u2028", "\xa0\x91"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := plain.Line(s)
		for _, r := range line {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Errorf("Line(%q) = %q has %U in it", s, line, r)
			}
		}
		if !utf8.ValidString(line) {
			t.Errorf("Line(%q) = %q is not UTF-8", s, line)
		}
		if again := plain.Line(line); again != line {
			t.Errorf("Line of %q is %q", line, again)
		}
		if n := len([]rune(plain.Short(s, 20))); n > 20 {
			t.Errorf("Short(%q, 20) has %d characters", s, n)
		}

		var before, after any
		doc := []byte(`{"s": "` + s + `"}`)
		if json.Unmarshal(doc, &before) != nil {
			return
		}
		if err := json.Unmarshal(plain.JSON(doc), &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("JSON of %q means %q, %v", doc, after, err)
		}
	})
}
