package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/ledger"
)

// A chart has a bar for each day.
type chart struct {
	Bars  []bar
	Label string
}

// A bar is a rectangle of a chart.
type bar struct {
	X, Y, Height int
	Title        string
}

const (
	chartHeight = 88
	chartStep   = 24
)

// drawChart draws how many bytes each of the last days has moved.
func drawChart(days []ledger.Day, at time.Time) chart {
	today := at.Truncate(day)
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Bytes)
	}
	c := chart{Label: "bytes a day, last 30 days; at most " + size(most)}
	for _, d := range days {
		if d.Bytes <= 0 {
			continue
		}
		i := chartDays - 1 - int(today.Sub(d.Day)/day)
		h := max(2, int(d.Bytes*chartHeight/max(most, 1)))
		if most > 1<<55 {
			h = max(2, int(float64(d.Bytes)/float64(most)*chartHeight))
		}
		c.Bars = append(c.Bars, bar{
			X: i*chartStep + 4, Y: chartHeight - h, Height: h,
			Title: fmt.Sprintf("%s: %s, %s", d.Day.Format("2 Jan"), size(d.Bytes), fileCount(d.Files)),
		})
	}
	return c
}

// A strip has a bar for each of the newest runs, as high as the run was long.
type strip struct {
	Bars  string // a path for each color
	Label string
}

const (
	stripHeight = 34
	stripStep   = 10
	leastHeight = 6
	// longestBar is how many bytes [appendBar] appends at most.
	longestBar = len("M290 28h7v34h-7z")
)

// drawStrip draws runs, the newest at the right.
func drawStrip(runs []ledger.Bar, at time.Time) strip {
	long := time.Second
	length := func(r *ledger.Bar) time.Duration {
		if r.Finished.IsZero() {
			return at.Sub(r.Began)
		}
		return r.Finished.Sub(r.Began)
	}
	for i := range runs {
		long = max(long, length(&runs[i]))
	}
	colors := [...]string{"ok", "run", "bad", "mute"}
	var paths [len(colors)][]byte
	counts := map[ledger.State]int{}
	for i := range runs {
		r := &runs[i]
		x := (stripLength - len(runs) + i) * stripStep
		h := leastHeight + int(int64(stripHeight-leastHeight)*int64(max(length(r), 0)/time.Millisecond)/int64(max(long/time.Millisecond, 1)))
		counts[r.State]++
		c := slices.Index(colors[:], class(string(r.State)))
		if paths[c] == nil {
			paths[c] = make([]byte, 0, longestBar*len(runs))
		}
		paths[c] = appendBar(paths[c], x, h)
	}
	var svg strings.Builder
	for c, path := range paths {
		if path != nil {
			svg.WriteString(`<path class="` + colors[c] + `" d="` + string(path) + `"/>`)
		}
	}
	return strip{svg.String(), stripLabel(counts, len(runs))}
}

// appendBar appends a bar to a path.
func appendBar(path []byte, x, height int) []byte {
	const width = "7" // of a bar
	path = strconv.AppendInt(append(path, 'M'), int64(x), 10)
	path = strconv.AppendInt(append(path, ' '), int64(stripHeight-height), 10)
	path = strconv.AppendInt(append(path, "h"+width+"v"...), int64(height), 10)
	return append(path, "h-"+width+"z"...)
}

// stripLabel describes a strip, for screen readers.
func stripLabel(counts map[ledger.State]int, all int) string {
	if all == 0 {
		return "no runs yet"
	}
	var parts []string
	for state, n := range counts {
		parts = append(parts, strconv.Itoa(n)+" "+words(string(state)))
	}
	slices.Sort(parts)
	return "last " + strconv.Itoa(all) + " runs: " + strings.Join(parts, ", ")
}
