// Package spelling guesses what a person meant to write: a misspelled name of a job, a
// flag, a key or a variable, or a value with superfluous quotes.
package spelling

import (
	"fmt"
	"strings"
)

// maxWord is the length of the longest word that is compared, in bytes.
const maxWord = 64

// Hint returns ", did you mean X?" with the word of known that was probably
// meant, or "".
func Hint(word string, known ...string) string {
	if near := Nearest(word, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

// Nearest returns the word of known that word may be a misspelling of, or "".
// Case does not count, and neither does - instead of _. A longer word may have
// more mistakes. One word may also be the beginning of the other.
func Nearest(word string, known []string) string {
	if near := NearestWithin(word, known, max(min(2, len(word)/2), len(word)/3)); near != "" || len(word) > maxWord {
		return near
	}
	for _, k := range known { // a shorter or longer form, such as warning
		w, f := folded(word), folded(k)
		if len(w) >= 3 && len(f) >= 3 && (strings.HasPrefix(w, f) || strings.HasPrefix(f, w)) {
			return k
		}
	}
	return ""
}

// NearestWithin is [Nearest] with at most this many mistakes.
func NearestWithin(word string, known []string, mistakes int) string {
	if len(word) > maxWord {
		return ""
	}
	found, least := "", mistakes+1
	word = folded(word)
	for _, k := range known {
		if n := len(k) - len(word); n >= least || -n >= least {
			continue
		}
		if d := Distance(word, folded(k)); d < least {
			found, least = k, d
		}
	}
	return found
}

func folded(word string) string { return strings.ReplaceAll(strings.ToLower(word), "-", "_") }

// Distance returns the number of mistakes that turn a into b. A mistake adds,
// removes or changes a byte, or swaps two adjacent ones.
func Distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, above, row = above, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// Around says what does not belong around a text, such as "there are quotes
// around it", or returns "". docker run --env-file and editors of Secrets keep
// quotes that a shell removes, and some editors begin a file with a byte order
// mark.
func Around(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return "there is a byte order mark before it"
	case text != strings.Trim(text, "\"'`“”‘’"):
		return "there are quotes around it"
	}
	return ""
}

// OneOf returns the one of words, at least two, that equals s when case is ignored.
func OneOf[T ~string](s string, words ...T) (T, error) {
	known := make([]string, len(words))
	for i, w := range words {
		if strings.EqualFold(s, string(w)) {
			return w, nil
		}
		known[i] = string(w)
	}
	most, last := known[:len(known)-1], known[len(known)-1]
	if len(most) == 1 {
		return "", fmt.Errorf("%q is neither %s nor %s%s", s, most[0], last, Hint(s, known...))
	}
	return "", fmt.Errorf("%q is not one of %s and %s%s", s, strings.Join(most, ", "), last, Hint(s, known...))
}
