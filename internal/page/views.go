package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/plain"
)

//go:embed html static
var files embed.FS

// views are the pages of HTML.
type views struct {
	all *template.Template
}

func newViews() *views {
	return &views{template.Must(template.New("").Funcs(template.FuncMap{
		"count": count, "size": size, "took": took, "line": plain.Line, "moment": moment, "words": words,
		"static": func(name string) string { return "/static/" + name + "?" + version(name) },
		"path":   func(parts ...string) string { return "/" + strings.Join(parts, "/") },
	}).ParseFS(files, "html/*.html"))}
}

// write answers with a page.
func (v *views) write(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := v.all.ExecuteTemplate(w, name+".html", data); err != nil {
		panic(http.ErrAbortHandler) // so that the client, if it is still there, sees that the page is incomplete
	}
}

// top returns the part of the first page that is above the jobs.
func (v *views) top(data topView) string {
	var text bytes.Buffer
	if err := v.all.ExecuteTemplate(&text, "top", data); err != nil {
		return "" // a viewer keeps what it has
	}
	return text.String()
}

// staticFiles serves the style and the script, which are named with their version.
func staticFiles() http.Handler {
	sub, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the name is a constant
	}
	serve := http.StripPrefix("/static/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r) // no lists of files
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=86400")
		serve.ServeHTTP(w, r)
	})
}

// version is that of a static file.
func version(name string) string {
	text, err := files.ReadFile("static/" + name)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// gap separates the groups of a number, and a number from its unit.
const gap = "\u202f"

// count prints a number in groups of three digits.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + gap + digits[i:]
	}
	return digits
}

// size prints a number of bytes.
func size(n int64) string { return plain.Size(n, gap) }

// took prints a duration with its two largest units.
func took(d time.Duration) string {
	d = max(d, 0)
	units := []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.length && i < len(units)-1 {
			continue
		}
		text := strconv.FormatInt(int64(d/u.length), 10) + gap + u.name
		if i+1 < len(units) {
			if rest := d % u.length / units[i+1].length; rest > 0 {
				text += " " + strconv.FormatInt(int64(rest), 10) + gap + units[i+1].name
			}
		}
		return text
	}
	return ""
}

// moment prints an instant.
func moment(t time.Time) string { return t.Format("Mon 2 Jan 15:04:05 MST") }

// words is a state as people read it.
func words(state string) string { return strings.ReplaceAll(state, "_", " ") }
