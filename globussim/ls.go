package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxEntries is how many entries a listing shows at most, and by default.
const maxEntries = 100_000

// ls answers GET /operation/endpoint/<id>/ls.
func (sv *service) ls(q *request) (int, any, *apiError) {
	page, e := q.page(maxEntries, maxEntries)
	if e != nil {
		return 0, nil, e
	}
	takes, e := parseFileFilters(q)
	if e != nil {
		return 0, nil, e
	}
	order, e := parseOrder(cmp.Or(q.param("orderby"), "name"), fileOrders())
	if e != nil {
		return 0, nil, e
	}
	p, e := sv.open(q, func(r PauseRule) bool { return r.Ls })
	if e != nil {
		return 0, nil, e
	}
	asked := cmp.Or(q.param("path"), "/~/")
	abs, e := p.resolve(asked)
	if e != nil {
		return 0, nil, e
	}
	docs, e := listFolder(p, q.owner, abs)
	if e != nil {
		if strings.HasSuffix(e.Code, ".NotDirectory") {
			e.Status = sv.server.answers.Load().Listed
		}
		return 0, nil, e
	}
	docs = slices.DeleteFunc(docs, func(d fileDoc) bool { return !takes(d) })
	slices.SortStableFunc(docs, order)
	shown := cut(docs, page)
	rows, e := project(q, append([]fileDoc{}, shown...))
	if e != nil {
		return 0, nil, e
	}
	if !strings.HasPrefix(asked, "/") {
		asked = "/~/" + strings.TrimPrefix(strings.TrimPrefix(asked, "~"), "/")
	}
	return http.StatusOK, map[string]any{
		"DATA_TYPE": "file_list", "DATA": rows, "endpoint": p.ID,
		"path":             strings.TrimSuffix(asked, "/") + "/",
		"absolute_path":    strings.TrimSuffix(wirePath(abs), "/") + "/",
		"length":           len(shown),
		"total":            len(docs),
		"rename_supported": true, "symlink_supported": true,
	}, nil
}

func listFolder(p *collection, owner, abs string) ([]fileDoc, *apiError) {
	const name = "DirListing"
	if p.condition().Offline {
		return nil, external(p, name, errOffline, abs)
	}
	if !p.allows(owner, abs, "r") {
		return nil, denied(p, "DirListing", abs)
	}
	info, err := p.root.Stat(inRoot(abs))
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = readDir(p, abs)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &apiError{
			Status: http.StatusNotFound, Code: "ClientError.NotFound",
			Message: fmt.Sprintf("Directory Not Found, Error (list)\nEndpoint: %s (%s)\nFile: %s\nMessage: No such file or directory", p.Name, p.ID, wirePath(abs)),
		}
	case err != nil:
		return nil, external(p, name, err, abs)
	}
	docs := make([]fileDoc, 0, len(entries))
	for _, entry := range entries {
		// An entry that has gone meanwhile is not listed.
		if doc, err := describeFile(p, join(abs, entry.Name())); err == nil {
			docs = append(docs, doc)
		}
	}
	return docs, nil
}

// fileOrders returns the fields that orderby knows in a listing.
func fileOrders() map[string]func(a, b fileDoc) int {
	return map[string]func(a, b fileDoc) int{
		"name":          func(a, b fileDoc) int { return cmp.Compare(a.Name, b.Name) },
		"type":          func(a, b fileDoc) int { return cmp.Compare(a.Type, b.Type) },
		"size":          func(a, b fileDoc) int { return cmp.Compare(a.Size, b.Size) },
		"last_modified": func(a, b fileDoc) int { return cmp.Compare(a.LastModified, b.LastModified) },
		"permissions":   func(a, b fileDoc) int { return cmp.Compare(a.Permissions, b.Permissions) },
		"user":          func(a, b fileDoc) int { return cmp.Compare(a.User, b.User) },
		"group":         func(a, b fileDoc) int { return cmp.Compare(a.Group, b.Group) },
	}
}

// parseFileFilters reads show_hidden and the filters: an entry is shown if one
// of them takes it.
func parseFileFilters(q *request) (func(fileDoc) bool, *apiError) {
	hidden := true
	if s := q.param("show_hidden"); s != "" {
		var err error
		if hidden, err = strconv.ParseBool(s); err != nil {
			return nil, badRequest("show_hidden must be 0 or 1")
		}
	}
	var filters []func(fileDoc) bool
	for _, s := range q.query["filter"] {
		if s == "" || s == "null" {
			continue
		}
		f, e := parseFileFilter(s)
		if e != nil {
			return nil, e
		}
		filters = append(filters, f)
	}
	return func(d fileDoc) bool {
		if !hidden && strings.HasPrefix(d.Name, ".") {
			return false
		}
		return len(filters) == 0 || slices.ContainsFunc(filters, func(f func(fileDoc) bool) bool { return f(d) })
	}, nil
}

// parseFileFilter reads clauses that are joined by "/" and must all hold.
func parseFileFilter(s string) (func(fileDoc) bool, *apiError) {
	var clauses []func(fileDoc) bool
	for clause := range strings.SplitSeq(s, "/") {
		if clause == "" {
			continue
		}
		key, value, _ := strings.Cut(clause, ":")
		var f func(fileDoc) bool
		switch key {
		case "name":
			ms := parseMatches(value)
			f = func(d fileDoc) bool { return matchAny(ms, d.nameIs) }
		case "type":
			types := parseMatches(value)
			f = func(d fileDoc) bool { return matchAny(types, func(m match) bool { return m.text == d.Type }) }
		case "size":
			compare, ok := parseSize(value)
			if !ok {
				return nil, badRequest("filter: size must be a number, or one after <, <=, > or >=")
			}
			f = func(d fileDoc) bool { return compare(d.Size) }
		case "last_modified":
			from, to, err := parseSpan(value)
			if err != nil {
				return nil, badRequest("filter: last_modified: " + err.Error())
			}
			f = func(d fileDoc) bool {
				at, err := parseTime(d.LastModified)
				return err == nil && within(at, from, to)
			}
		default:
			return nil, badRequest("filter: unknown field '" + key + "'")
		}
		clauses = append(clauses, f)
	}
	return func(d fileDoc) bool {
		return !slices.ContainsFunc(clauses, func(f func(fileDoc) bool) bool { return !f(d) })
	}, nil
}

func (d fileDoc) nameIs(m match) bool {
	if m.pattern {
		return glob(m.text, d.Name)
	}
	return m.text == d.Name
}

// parseSize reads ">N" and the like. Only ">" is confirmed.
func parseSize(s string) (func(int64) bool, bool) {
	digits := strings.TrimLeft(s, "<>=")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return nil, false
	}
	switch strings.TrimSuffix(s, digits) {
	case ">":
		return func(size int64) bool { return size > n }, true
	case ">=":
		return func(size int64) bool { return size >= n }, true
	case "<":
		return func(size int64) bool { return size < n }, true
	case "<=":
		return func(size int64) bool { return size <= n }, true
	case "", "=":
		return func(size int64) bool { return size == n }, true
	}
	return nil, false
}
