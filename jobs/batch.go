package jobs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/globus-runner/globus-runner/transfer"
)

// maxBatchLine is the length of the longest line of a batch, in bytes.
const maxBatchLine = 1 << 20

// A BatchLine is one line of a batch in globus-cli's format. Its paths are
// UTF-8 without control characters; they may be relative.
type BatchLine struct {
	Line             int // from 1
	Source           string
	Destination      string // empty in a batch of paths to delete
	Recursive        *bool  // nil: Globus finds out
	ExternalChecksum string
}

// Items reads the items of doc from a batch or manifest. Relative paths are
// below those of the first item that doc has, if there is one. Each item is
// checked, and so is that no two have the same destination. An error names its
// line and is the last pair; a batch without items is one.
func Items(r io.Reader, doc *transfer.Transfer) iter.Seq2[transfer.Item, error] {
	return itemsOf(r, doc, newPairs(doc, "line"))
}

// CheckItems reads all items of a manifest, and returns how many there are. It
// opens the manifest once, or twice to tell which lines have the same
// destination; a million items take it 10 MiB, but more in a mirror.
func CheckItems(open func() (io.ReadCloser, error), doc *transfer.Transfer) (n int, err error) {
	p := newPairs(doc, "line")
	if !p.mirror {
		p.taken, p.sums = nil, new(tally)
	}
	n, err = p.addAll(open, doc)
	if err != nil || p.sums == nil {
		return n, err
	}
	if twice := p.sums.twice(); len(twice) > 0 {
		p.taken, p.only, p.sums = map[uint64]int32{}, twice, nil
		return p.addAll(open, doc)
	}
	return n, nil
}

// addAll adds the items of a manifest, and returns how many are good.
func (p *pairs) addAll(open func() (io.ReadCloser, error), doc *transfer.Transfer) (n int, err error) {
	r, err := open()
	if err != nil {
		return 0, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	for _, err := range itemsOf(r, doc, p) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// CheckedItems is [Items] for a batch that [CheckItems] has read. It takes less
// memory, because it does not compare the items with each other.
func CheckedItems(r io.Reader, doc *transfer.Transfer) iter.Seq2[transfer.Item, error] {
	p := newPairs(doc, "line")
	p.taken = nil
	return itemsOf(r, doc, p)
}

func itemsOf(r io.Reader, doc *transfer.Transfer, p *pairs) iter.Seq2[transfer.Item, error] {
	var base transfer.Item
	if len(doc.Items) > 0 {
		base = doc.Items[0]
	}
	return eachLine(r, 2, func(line *BatchLine) (transfer.Item, error) {
		item, err := line.item(&base)
		if err == nil {
			err = p.add(&item, line.Line)
		}
		return item, err
	})
}

// item is the item of a line below the paths of base.
func (l *BatchLine) item(base *transfer.Item) (item transfer.Item, err error) {
	item.Recursive, item.ExternalChecksum = l.Recursive, l.ExternalChecksum
	if l.ExternalChecksum != "" {
		item.ChecksumAlgorithm = base.ChecksumAlgorithm
	}
	if item.SourcePath, err = Absolute(base.SourcePath, l.Source); err != nil {
		return item, err
	}
	item.DestinationPath, err = Absolute(base.DestinationPath, l.Destination)
	return item, err
}

// DeleteItems reads what to delete from a batch of paths, as [Items] does.
// Relative paths are below folder, if it is not empty; globs says whether
// wildcards are expanded.
func DeleteItems(r io.Reader, folder string, globs bool) iter.Seq2[transfer.DeleteItem, error] {
	return eachLine(r, 1, func(line *BatchLine) (transfer.DeleteItem, error) {
		path, err := Absolute(folder, line.Source)
		if err == nil {
			err = checkDelete(path, globs)
		}
		return transfer.DeleteItem{Path: path}, err
	})
}

// eachLine yields what item returns for each line of a batch. After the first fault it yields
// nothing more, but reads on, so that one error names several faults.
func eachLine[T any](r io.Reader, fields int, item func(*BatchLine) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var wrong LineFaults
		empty := true
		for line, err := range batchLines(r, fields) {
			var made T
			if err == nil {
				if made, err = item(&line); err != nil {
					err = lineFault{line.Line, err}
				}
			}
			if err != nil {
				if wrong = append(wrong, err); len(wrong) == mostLineFaults {
					break
				}
				continue
			}
			if empty = false; len(wrong) == 0 && !yield(made, nil) {
				return
			}
		}
		switch {
		case len(wrong) > 0:
			yield(none, wrong)
		case empty:
			yield(none, errors.New("there is no line with paths in it"))
		}
	}
}

// mostLineFaults is how many faults of a batch one error names.
const mostLineFaults = 10

// LineFaults are what is wrong with the lines of a batch, in their order: at most
// ten.
type LineFaults []error

// Error returns all of them on one line.
func (f LineFaults) Error() string {
	var all []string
	for _, err := range f {
		all = append(all, err.Error())
	}
	if len(f) == mostLineFaults {
		all = append(all, "and perhaps more")
	}
	return strings.Join(all, "; ")
}

// Unwrap returns the faults.
func (f LineFaults) Unwrap() []error { return f }

// A lineFault is what is wrong with one line.
type lineFault struct {
	line int
	err  error
}

func (f lineFault) Error() string { return fmt.Sprintf("line %d: %v", f.line, f.err) }
func (f lineFault) Unwrap() error { return f.err }

// Batch reads lines of the form
//
//	[--recursive|-r|--no-recursive] [--external-checksum TEXT] SOURCE DESTINATION
//
// with shell quotes. Blank lines and what follows a # are left out. With fields
// 1, a line is a single path without options. The text is UTF-8, or UTF-16 with
// a byte order mark; lines end as on Unix, Windows or old Macs. An error names
// its line and is the last pair.
func Batch(r io.Reader, fields int) iter.Seq2[BatchLine, error] {
	return func(yield func(BatchLine, error) bool) {
		for line, err := range batchLines(r, fields) {
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// batchLines is [Batch], but continues after a line that is wrong.
func batchLines(r io.Reader, fields int) iter.Seq2[BatchLine, error] {
	return func(yield func(BatchLine, error) bool) {
		lines := bufio.NewScanner(decoded(r))
		lines.Buffer(nil, maxBatchLine)
		lines.Split(scanLine)
		n := 0
		for lines.Scan() {
			n++
			line, err := parseBatchLine(lines.Text(), fields)
			if err != nil {
				err = lineFault{n, err}
			}
			if line.Source == "" && err == nil {
				continue
			}
			line.Line = n
			if !yield(line, err) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(BatchLine{}, fmt.Errorf("line %d has more than %d bytes, but a line is one pair of paths; see whether the file is a list at all", n+1, maxBatchLine))
		case err != nil:
			yield(BatchLine{}, lineFault{n + 1, err})
		}
	}
}

// scanLine is a [bufio.SplitFunc] for lines that end in LF, CR LF or CR.
func scanLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	end := bytes.IndexAny(data, "\r\n")
	switch {
	case end < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case end < 0 || end+1 == len(data) && data[end] == '\r' && !atEOF:
		return 0, nil, nil // an LF may follow
	case data[end] == '\r' && end+1 < len(data) && data[end+1] == '\n':
		return end + 2, data[:end], nil
	}
	return end + 1, data[:end], nil
}

// parseBatchLine reads one line; a blank one has no source.
func parseBatchLine(text string, fields int) (BatchLine, error) {
	if strings.Contains(text, "\x00") {
		return BatchLine{}, errors.New("there is a NUL in it, so this is not text, or it is UTF-16 without a byte order mark; save the list as UTF-8")
	}
	words, err := splitWords(strings.TrimPrefix(text, string(byteOrderMark)))
	if err != nil {
		return BatchLine{}, err
	}
	var line BatchLine
	var paths []word
	options := fields > 1
	for i := 0; i < len(words); i++ {
		text := words[i].text
		value, hasValue := strings.CutPrefix(text, "--external-checksum=")
		switch {
		case !options || !strings.HasPrefix(text, "-") || text == "-":
			paths = append(paths, words[i])
		case text == "--":
			options = false
		case text == "-r" || text == "--recursive":
			line.Recursive = new(true)
		case text == "--no-recursive":
			line.Recursive = new(false)
		case hasValue:
			line.ExternalChecksum = value
		case text == "--external-checksum" && i+1 < len(words):
			i++
			line.ExternalChecksum = words[i].text
		default:
			return BatchLine{}, fmt.Errorf("unknown option %s, want --recursive (-r), --no-recursive or --external-checksum TEXT", short(text))
		}
	}
	if len(words) == 0 {
		return BatchLine{}, nil
	}
	for _, path := range paths {
		if err := path.check(fields); err != nil {
			return BatchLine{}, err
		}
	}
	if err := checkCount(paths, fields); err != nil {
		return BatchLine{}, err
	}
	line.Source = paths[0].text
	if fields > 1 {
		line.Destination = paths[1].text
	}
	return line, nil
}

// checkCount reports a line with too few or too many paths.
func checkCount(paths []word, fields int) error {
	switch n := len(paths); {
	case n == fields:
		return nil
	case n == 0:
		return fmt.Errorf("there is no path, want %s", wanted(fields))
	case n < fields && strings.ContainsFunc(paths[0].raw, unicodeBlank):
		i := strings.IndexFunc(paths[0].raw, unicodeBlank)
		r, _ := utf8.DecodeRuneInString(paths[0].raw[i:])
		return fmt.Errorf("the destination is missing: %q has %U in it, which looks like a blank and is none; put a blank or tab between the paths", short(paths[0].text), r)
	case n < fields && strings.ContainsAny(paths[0].raw, ",;"):
		i := strings.IndexAny(paths[0].raw, ",;")
		return fmt.Errorf("the destination is missing: a batch is not CSV; put a blank or tab between the paths, and not a %q", paths[0].raw[i])
	case n < fields:
		return fmt.Errorf("the destination is missing: there is only %q, want %s", short(paths[0].text), wanted(fields))
	}
	return fmt.Errorf("got %d paths, want %s; a path with blanks in it needs quotes", len(paths), wanted(fields))
}

// wanted says what a line should have.
func wanted(fields int) string {
	if fields == 1 {
		return "one path a line"
	}
	return "SOURCE DESTINATION"
}

// unicodeBlank reports whether r looks like a blank, but does not separate.
func unicodeBlank(r rune) bool { return r >= utf8.RuneSelf && unicode.IsSpace(r) }

// A word is a part of a line.
type word struct {
	text string // without quotes
	raw  string // as it is written
}

// check reports what no path of a batch may have.
func (w word) check(fields int) error {
	if w.text == "" {
		return errors.New("a path is empty")
	}
	if i := invalidUTF8(w.text); i >= 0 {
		return fmt.Errorf("%q is not UTF-8 (byte 0x%02x), so another path would be sent; save the list as UTF-8, such as by iconv -f latin1 -t utf-8", short(w.text), w.text[i])
	}
	bare := w.raw[0] != '\'' && w.raw[0] != '"'
	if err := CheckForeign(w.raw); err != nil && bare {
		return err
	}
	first, _ := utf8.DecodeRuneInString(w.raw)
	last, _ := utf8.DecodeLastRuneInString(w.raw)
	for _, r := range []rune{first, last} {
		if unicodeBlank(r) {
			return fmt.Errorf("the path %q begins or ends with %U, which looks like a blank and is none; remove it, or put it into quotes", short(w.text), r)
		}
	}
	if fields > 1 && len(w.raw) > 1 && (last == ',' || last == ';') {
		return fmt.Errorf("the path %q ends with %q: a batch is not CSV; put only a blank or tab between the paths, or the path into quotes", short(w.text), last)
	}
	if i := strings.IndexByte(w.raw, '\\'); i >= 0 && bare {
		if r, _ := utf8.DecodeRuneInString(w.raw[i+1:]); unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			return fmt.Errorf(`%s has a backslash in it, which a batch takes for a quote; write %s, or \\ where the name has it`, short(w.raw), short(cleanWindows(w.raw)))
		}
	}
	return checkText(w.text)
}

// invalidUTF8 returns the index of the first byte of text that is not UTF-8, or -1.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}

// splitWords splits a line into words as a shell does: single quotes keep all,
// double quotes all but \" and \\, a backslash keeps the next character, and a
// # where a word could begin starts a comment.
func splitWords(text string) ([]word, error) {
	var words []word
	var at strings.Builder
	start, quote := -1, byte(0) // start of the word, or -1 between words
	for i := 0; i < len(text); i++ {
		c := text[i]
		if start < 0 {
			switch c {
			case ' ', '\t':
				continue
			case '#':
				return words, nil
			}
			start = i
		}
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			at.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\':
			if i+1 == len(text) {
				return nil, errors.New("the line ends in a backslash")
			}
			i++
			if quote == '"' && text[i] != '"' && text[i] != '\\' {
				at.WriteByte('\\')
			}
			at.WriteByte(text[i])
		case c == '\'' || c == '"':
			quote = c
		case c == ' ' || c == '\t':
			words = append(words, word{at.String(), text[start:i]})
			at.Reset()
			start = -1
		default:
			at.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf(`the quote %c is not closed; one that is part of a name is written \%c`, quote, quote)
	}
	if start >= 0 {
		words = append(words, word{at.String(), text[start:]})
	}
	return words, nil
}
