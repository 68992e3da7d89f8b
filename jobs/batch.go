package jobs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// maxBatchLine is the length of the longest line of a batch, in bytes.
const maxBatchLine = 1 << 20

// A BatchLine is one line of a batch in globus-cli's format.
type BatchLine struct {
	Line             int // from 1
	Source           string
	Destination      string // empty in a batch of paths to delete
	Recursive        *bool  // nil: Globus finds out
	ExternalChecksum string
}

// Batch reads lines of the form
//
//	[--recursive|-r|--no-recursive] [--external-checksum TEXT] SOURCE DESTINATION
//
// with shell quotes. Blank lines and what follows a # are left out. With fields
// 1, a line is a single path without options. An error names its line and is
// the last pair.
func Batch(r io.Reader, fields int) iter.Seq2[BatchLine, error] {
	return func(yield func(BatchLine, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxBatchLine)
		n := 0
		for lines.Scan() {
			n++
			line, err := parseBatchLine(lines.Text(), fields)
			if err != nil {
				yield(BatchLine{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if line.Source == "" {
				continue
			}
			line.Line = n
			if !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(BatchLine{}, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

// Below puts a folder, unless it is empty, before a path of a batch.
func Below(folder, path string) string {
	if folder == "" {
		return path
	}
	return strings.TrimSuffix(folder, "/") + "/" + strings.TrimPrefix(path, "/")
}

// parseBatchLine reads one line; a blank one has no source.
func parseBatchLine(text string, fields int) (BatchLine, error) {
	words, err := splitWords(text)
	if err != nil {
		return BatchLine{}, err
	}
	var line BatchLine
	var paths []string
	options := fields > 1
	for i := 0; i < len(words); i++ {
		word := words[i]
		value, hasValue := strings.CutPrefix(word, "--external-checksum=")
		switch {
		case !options || !strings.HasPrefix(word, "-") || word == "-":
			paths = append(paths, word)
		case word == "--":
			options = false
		case word == "-r" || word == "--recursive":
			line.Recursive = new(true)
		case word == "--no-recursive":
			line.Recursive = new(false)
		case hasValue:
			line.ExternalChecksum = value
		case word == "--external-checksum" && i+1 < len(words):
			i++
			line.ExternalChecksum = words[i]
		default:
			return BatchLine{}, fmt.Errorf("unknown option %s, want --recursive, --no-recursive or --external-checksum TEXT", word)
		}
	}
	switch {
	case len(words) == 0:
		return BatchLine{}, nil
	case len(paths) != fields:
		return BatchLine{}, fmt.Errorf("got %d paths, want %d; a path with blanks in it needs quotes", len(paths), fields)
	case paths[0] == "" || paths[fields-1] == "":
		return BatchLine{}, errors.New("a path is empty")
	}
	line.Source = paths[0]
	if fields > 1 {
		line.Destination = paths[1]
	}
	return line, nil
}

// splitWords splits a line into words as a shell does: single quotes keep all,
// double quotes all but \" and \\, a backslash keeps the next character, and a
// # where a word could begin starts a comment.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	bytes := []byte(text)
	for i := 0; i < len(bytes); i++ {
		c := bytes[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\':
			if i+1 == len(bytes) {
				return nil, errors.New("the line ends in a backslash")
			}
			i++
			if quote == '"' && bytes[i] != '"' && bytes[i] != '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(bytes[i])
			inWord = true
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case c == '#' && !inWord:
			return words, nil
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
