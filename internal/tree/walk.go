package tree

import (
	"cmp"
	"context"
	"errors"
	"hash/crc32"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/globus-runner/globus-runner/transfer"
)

const (
	ahead  = 4 // folders that are listed before the caller needs them
	atOnce = 4 // requests
)

// A walker lists the same paths in one or two folders.
type walker struct {
	tops    []Folder
	rules   Rules
	show    bool // yield what the rules exclude at the source
	sample  func(path string) bool
	fold    func(name string) string
	slots   chan struct{} // limits concurrent requests
	group   sync.WaitGroup
	listing int     // number of pending nodes that are being listed
	pending []*node // a stack: the next node is the last
	level   []*node // comes after pending, if the listing is bounded
}

// A node is a path at which at least one of the folders has a folder.
type node struct {
	path    string
	there   string    // the path at the destination
	sides   []*side   // one for each of the walker's tops; nil where there is no folder
	leaves  [2]*Entry // entries that exist in place of a folder; nil if none does
	told    bool      // its pair was yielded among the files of its parent
	listing bool      // it is being listed, or has been
}

// A side is a folder of a node.
type side struct {
	entry Entry
	rows  []row // its entries
	done  chan struct{}
}

// A row is an entry of a listing, in little memory.
type row struct {
	name     string
	kind     Kind
	size     int64
	modified int64 // seconds since 1970; 0 if it is not known
	rule     *rule // that excludes it; nil if none does
}

func walk(ctx context.Context, o Options, tops ...Folder) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		inner, cancel := context.WithCancel(ctx)
		w := &walker{tops: tops, rules: o.Rules, show: o.Excluded, sample: o.Sample, fold: o.Fold, slots: make(chan struct{}, atOnce)}
		defer w.group.Wait()
		defer cancel()
		first := &node{sides: make([]*side, len(tops))}
		for i := range tops {
			first.sides[i] = newSide(Entry{Kind: Dir})
		}
		w.pending = []*node{first}
		for left := o.Look; len(w.pending) > 0; left-- {
			n := w.pending[len(w.pending)-1]
			w.pending = w.pending[:len(w.pending)-1]
			if err := w.list(inner, n); err != nil {
				yield(Pair{}, err)
				return
			}
			if told := n.told && n.sides[1].entry.Err == nil; !told && !yield(n.pair(), nil) {
				return
			}
			below, more := w.content(n, yield)
			if !more {
				return
			}
			if o.Look == 0 { // depth first
				slices.Reverse(below)
				w.pending = append(w.pending, below...)
				continue
			}
			for _, n := range w.queue(below, left-1) {
				n.cut()
				if !yield(n.pair(), nil) {
					return
				}
			}
		}
	}
}

// queue puts nodes in line, level by level. Nodes that only the destination has go
// first, because a mirror deletes their content. It returns the nodes beyond the bound.
// Where that ends within a level, a checksum of the paths chooses, so that the folders
// that are looked at are spread over the tree.
func (w *walker) queue(below []*node, next int) (beyond []*node) {
	slices.Reverse(below)
	alone := func(n *node) bool { return n.sides[0] == nil }
	for _, n := range below {
		if alone(n) {
			w.pending = append(w.pending, n)
		}
	}
	w.pending = slices.DeleteFunc(w.pending, func(n *node) bool {
		cut := !n.listing && len(w.pending)-len(beyond) > next
		if cut {
			beyond = append(beyond, n)
		}
		return cut
	})
	w.level = slices.Concat(slices.DeleteFunc(below, alone), w.level)
	whole := len(w.pending) == 0 // the level is
	if room := max(0, next-len(w.pending)); len(w.level) > room && (whole || len(w.level) > 2*room) {
		if room > 0 {
			slices.SortFunc(w.level, func(a, b *node) int { return cmp.Compare(checksum(b.path), checksum(a.path)) })
		}
		cut := len(w.level) - room
		beyond, w.level = append(beyond, w.level[:cut]...), w.level[cut:]
	}
	if whole {
		w.pending, w.level = w.level, nil
	}
	slices.Reverse(beyond)
	return beyond
}

func checksum(path string) uint32 { return crc32.ChecksumIEEE([]byte(path)) }

func newSide(e Entry) *side { return &side{entry: e, done: make(chan struct{})} }

// cut marks a node as not listed.
func (n *node) cut() {
	for _, s := range n.sides {
		if s != nil {
			s.entry.Err = ErrCut
		}
	}
}

func (n *node) pair() Pair {
	p := Pair{Path: n.path, Source: n.leaves[0], Destination: n.leaves[1], Renamed: n.there != n.path}
	for i, to := range []**Entry{&p.Source, &p.Destination} {
		if i < len(n.sides) && n.sides[i] != nil {
			*to = &n.sides[i].entry
		}
	}
	return p
}

// list lists a node, and begins to list some of the next.
func (w *walker) list(ctx context.Context, n *node) error {
	if n.listing {
		w.listing--
	}
	w.begin(ctx, n)
	for _, next := range slices.Backward(w.pending) {
		if w.listing == ahead {
			break
		}
		if !next.listing {
			w.listing++
			w.begin(ctx, next)
		}
	}
	for _, s := range n.sides {
		if s == nil {
			continue
		}
		select {
		case <-s.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if ctx.Err() != nil { // it may be the reason for an entry's error
		return context.Cause(ctx)
	}
	return nil
}

// begin begins to list the folders of a node, once.
func (w *walker) begin(ctx context.Context, n *node) {
	if n.listing {
		return
	}
	n.listing = true
	rules := w.rules
	if n.sides[0] == nil { // a mirror deletes it as a whole
		rules = nil
	}
	for i, s := range n.sides {
		if s == nil {
			continue
		}
		if i == 1 && !w.chosen(n) {
			close(s.done)
			continue
		}
		w.group.Go(func() {
			defer close(s.done)
			select {
			case w.slots <- struct{}{}:
				defer func() { <-w.slots }()
				s.rows, s.entry.Err = rows(ctx, w.tops[i], [...]string{n.path, n.there}[i], rules, w.show && i == 0)
			case <-ctx.Done():
			}
		})
	}
}

// chosen reports whether the content of a node is to be yielded.
func (w *walker) chosen(n *node) bool { return w.sample == nil || w.sample(n.path) }

// rows lists one folder, with excluded entries only if show is set.
func rows(ctx context.Context, top Folder, path string, rules Rules, show bool) ([]row, error) {
	if path != "" {
		path = "/" + path
	}
	query := transfer.LsQuery{
		Path: strings.TrimSuffix(top.Path, "/") + path + "/", OrderBy: "name", LocalUser: top.LocalUser, Limit: MaxEntries + 1,
	}
	var all []row
	n := 0
	for e, err := range top.Lister.Ls(ctx, top.Collection, query) {
		if err != nil {
			return nil, err
		}
		if n++; n > MaxEntries {
			return nil, ErrTooMany
		}
		r := rowOf(e)
		if r.kind == Dir && leadsBack(r.name) {
			r.kind = Other // else the listing would never end
		}
		if d := rules.decides(r.name, r.kind == Dir); d >= 0 && !rules[d].include {
			r.rule = &rules[d]
		}
		if r.rule == nil || show {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, compareRows)
	// Some stores list a name twice.
	return slices.CompactFunc(all, func(a, b row) bool { return compareRows(a, b) == 0 }), nil
}

// leadsBack reports whether the path of a name is that of the folder which it is in, or of one
// above. An object store makes an empty name of a key with two slashes in a row.
func leadsBack(name string) bool { return name == "" || name == "." || name == ".." }

func rowOf(e *transfer.Entry) row {
	r := row{name: strings.Clone(e.Name), kind: kindOf(e), size: e.Size}
	if !e.LastModified.IsZero() {
		r.modified = e.LastModified.Unix()
	}
	return r
}

func kindOf(e *transfer.Entry) Kind {
	switch {
	case e.LinkTarget != "" || e.Type == "invalid_symlink":
		return Link
	case e.Type == "dir":
		return Dir
	case e.Type == "file":
		return File
	}
	return Other
}

// compareRows orders by name, and a folder after a file of the same name.
func compareRows(a, b row) int {
	if c := strings.Compare(a.name, b.name); c != 0 {
		return c
	}
	switch {
	case a.kind == Dir && b.kind != Dir:
		return 1
	case a.kind != Dir && b.kind == Dir:
		return -1
	}
	return 0
}

// content yields the entries of a node that are not folders, and returns its
// subfolders. more is false if yield returned false.
func (w *walker) content(n *node, yield func(Pair, error) bool) (below []*node, more bool) {
	var lists [2][]row
	for i, s := range n.sides {
		if s == nil {
			continue
		}
		if s.entry.Err != nil && !Gone(s.entry.Err) {
			return nil, true
		}
		lists[i], s.rows = s.rows, nil
	}
	chosen := w.chosen(n)
	for m := range w.folded(lists[0], lists[1]) {
		child := n.child(&m)
		folder := false
		for i, r := range m.rows {
			if r == nil {
				continue
			}
			e := r.entry([...]string{child.path, child.there}[i])
			// Globus does not touch what exists in the place of a link of
			// the source.
			if r.kind == Dir && r.rule == nil && (i != 1 || m.rows[0] == nil || m.rows[0].kind != Link) {
				child.sides[i], folder = newSide(e), true
			} else {
				child.leaves[i] = &e
			}
		}
		switch {
		case folder && !chosen && len(n.sides) > 1:
			child.sides[1] = newSide(Entry{Path: child.there, Kind: Dir}) // if it does not exist, its error says so
			below = append(below, child)
		case folder && child.leaves[0] != nil: // its pair belongs among the files
			if !yield(Pair{Path: child.path, Source: child.leaves[0], Destination: new(child.sides[1].entry), Renamed: child.there != child.path}, nil) {
				return nil, false
			}
			child.leaves[0], child.told = nil, true
			below = append(below, child)
		case folder:
			below = append(below, child)
		case chosen && !yield(child.pair(), nil):
			return nil, false
		}
	}
	return below, true
}

// child returns the node for a match in n, without its sides.
func (n *node) child(m *match) *node {
	c := &node{path: within(n.path, m.name), sides: make([]*side, len(n.sides))}
	c.there = c.path
	if r := m.rows[1]; n.there != n.path || r != nil && r.name != m.name {
		name := m.name
		if r != nil {
			name = r.name
		}
		c.there = within(n.there, name)
	}
	return c
}

// within returns the path of a name in a folder. The path of the top folder is empty.
func within(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

func (r row) entry(path string) Entry {
	e := Entry{Path: path, Kind: r.kind, Size: r.size}
	if r.rule != nil {
		e.Rule = &r.rule.text
	}
	if r.modified != 0 {
		e.Modified = time.Unix(r.modified, 0).UTC()
	}
	return e
}

// A match is the rows of two listings with the same name.
type match struct {
	name string
	rows [2]*row // nil if a listing does not have it
}

// merge merges two sorted listings by name. If one of them has a file and a
// folder of the same name, each is matched with an entry of its own kind if
// possible.
func merge(a, b []row) iter.Seq[match] {
	return func(yield func(match) bool) {
		for len(a) > 0 || len(b) > 0 {
			var m match
			switch c := order(a, b); {
			case c < 0:
				m, a = match{a[0].name, [2]*row{&a[0], nil}}, a[1:]
			case c > 0:
				m, b = match{b[0].name, [2]*row{nil, &b[0]}}, b[1:]
			default:
				m, a, b = match{a[0].name, [2]*row{&a[0], &b[0]}}, a[1:], b[1:]
			}
			if !yield(m) {
				return
			}
		}
	}
}

// order returns which of two listings has the next row; 0 means that their
// first rows match.
func order(a, b []row) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	c := compareRows(a[0], b[0])
	if c == 0 || a[0].name != b[0].name || twice(a) || twice(b) {
		return c
	}
	return 0 // a file on one side and a folder on the other
}

// twice reports whether a listing has both a file and a folder of its first name.
func twice(rows []row) bool { return len(rows) > 1 && rows[0].name == rows[1].name }

// Gone reports whether err says that a path does not exist. It is false if the
// collection does not exist, because then nothing is known about its paths.
func Gone(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NotFound() && !e.NoCollection()
}
