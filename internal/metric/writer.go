package metric

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"
)

// A Writer writes families in the text format, line by line and without keeping
// them. Errors of the underlying writer are reported when it is flushed.
type Writer struct {
	to          *bufio.Writer
	family      Family
	headWritten bool // the head of the family has been written
}

func newWriter(to io.Writer) *Writer { return &Writer{to: bufio.NewWriter(to)} }

// Family begins a family. All its samples follow before the next one begins; one
// without samples is not shown.
func (w *Writer) Family(f Family) { w.family, w.headWritten = f, false }

// Sample writes one series of the family; labels are alternating names and values.
func (w *Writer) Sample(value float64, labels ...string) {
	names, values := make([]string, 0, len(labels)/2), make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	w.sample("", pairs(names, values), value)
}

// sample writes a series whose labels are already in written form.
func (w *Writer) sample(suffix, pairs string, value float64) {
	if f := w.family; !w.headWritten {
		w.lines("# HELP ", f.Name, " ", helpEscapes.Replace(f.Help), "\n# TYPE ", f.Name, " ", string(f.Kind), "\n")
		w.headWritten = true
	}
	begin, end := "", " "
	if pairs != "" {
		begin, end = "{", "} "
	}
	w.lines(w.family.Name, suffix, begin, pairs, end, number(value), "\n")
}

// lines writes text; a [bufio.Writer] keeps its first error until it is flushed.
func (w *Writer) lines(text ...string) {
	for _, s := range text {
		_, _ = w.to.WriteString(s)
	}
}

func (w *Writer) flush() error { return w.to.Flush() }

// Escapes of the format.
var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// pairs returns labels in the form written between braces. The format needs valid
// UTF-8, so other bytes are replaced.
func pairs(names, values []string) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(names[i] + `="` + valueEscapes.Replace(strings.ToValidUTF8(value, "\uFFFD")) + `"`)
	}
	return b.String()
}

// join appends a pair to pairs.
func join(pairs, last string) string {
	if pairs == "" {
		return last
	}
	return pairs + "," + last
}

// number formats x.
func number(x float64) string {
	if math.IsInf(x, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
