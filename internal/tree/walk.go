package tree

import (
	"context"
	"errors"
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

// A walker lists the same paths of one or two folders.
type walker struct {
	tops    []Folder
	rules   Rules
	show    bool // what the rules leave out at the source
	sample  func(path string) bool
	fold    func(name string) string
	slots   chan struct{} // a place for each request
	group   sync.WaitGroup
	begun   int     // nodes of pending that are being listed
	pending []*node // the next one is the last
}

// A node is a path at which at least one of the folders has a folder.
type node struct {
	path   string
	there  string    // the path at the destination
	sides  []*side   // by the walker's tops; nil where there is no folder
	leaves [2]*Entry // what is there instead of a folder; nil if nothing is
	told   bool      // its pair was yielded, beside the files of the folder above
	begun  bool
}

// A side is a folder of a node.
type side struct {
	entry Entry
	rows  []row // what is in it
	done  chan struct{}
}

// A row is an entry of a listing, as small as can be.
type row struct {
	name     string
	kind     Kind
	size     int64
	modified int64 // seconds since 1970; 0 if it is not known
	rule     *rule // that leaves it out; nil if none does
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

// queue puts nodes in line, level by level, but those that only the destination has
// before all others, because a mirror deletes whatever is in them. It returns those that
// have no place among the next.
func (w *walker) queue(below []*node, next int) (beyond []*node) {
	slices.Reverse(below)
	alone := func(n *node) bool { return n.sides[0] == nil }
	for _, n := range below {
		if alone(n) {
			w.pending = append(w.pending, n)
		}
	}
	w.pending = slices.Concat(slices.DeleteFunc(below, alone), w.pending)
	w.pending = slices.DeleteFunc(w.pending, func(n *node) bool {
		cut := !n.begun && len(w.pending)-len(beyond) > next
		if cut {
			beyond = append(beyond, n)
		}
		return cut
	})
	slices.Reverse(beyond)
	return beyond
}

func newSide(e Entry) *side { return &side{entry: e, done: make(chan struct{})} }

// cut marks a node as not looked at.
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

// list lists a node, and begins with some of those that come next.
func (w *walker) list(ctx context.Context, n *node) error {
	if n.begun {
		w.begun--
	}
	w.begin(ctx, n)
	for _, next := range slices.Backward(w.pending) {
		if w.begun == ahead {
			break
		}
		if !next.begun {
			w.begun++
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

// begin asks for the folders of a node, once.
func (w *walker) begin(ctx context.Context, n *node) {
	if n.begun {
		return
	}
	n.begun = true
	rules := w.rules
	if n.sides[0] == nil { // it goes as a whole
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

// chosen reports whether the content of a node is wanted.
func (w *walker) chosen(n *node) bool { return w.sample == nil || w.sample(n.path) }

// rows lists one folder. What the rules leave out is only in it if it is to be
// shown.
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
		if d := rules.decides(r.name, r.kind == Dir); d >= 0 && !rules[d].include {
			r.rule = &rules[d]
		}
		if r.rule == nil || show {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, compareRows)
	// Some stores have a name twice.
	return slices.CompactFunc(all, func(a, b row) bool { return compareRows(a, b) == 0 }), nil
}

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

// compareRows orders by name, and puts a folder behind a file of its name.
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

// content yields what is in a node and no folder, and returns its subfolders.
// More is false if no more is wanted.
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
			// Globus leaves alone what stands where the source has a link.
			if r.kind == Dir && r.rule == nil && (i != 1 || m.rows[0] == nil || m.rows[0].kind != Link) {
				child.sides[i], folder = newSide(e), true
			} else {
				child.leaves[i] = &e
			}
		}
		switch {
		case folder && !chosen && len(n.sides) > 1:
			child.sides[1] = newSide(Entry{Path: child.there, Kind: Dir}) // if it is not there, its error says so
			below = append(below, child)
		case folder && child.leaves[0] != nil: // it has its place among the files
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

// child is the node of a match in a node, without its sides.
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

// within is the path of a name in a folder, whose path is empty at the top.
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

// A match is what two listings have under one name.
type match struct {
	name string
	rows [2]*row // nil where there is none
}

// merge yields what two sorted listings have, by name. Where one of them has a
// file and a folder of the same name, each is matched with its like if it can
// be.
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

// order says which of two listings has what comes next; 0 means that their
// first rows belong together.
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
	return 0 // a file here and a folder there
}

// twice reports whether a listing has a file and a folder of its first name.
func twice(rows []row) bool { return len(rows) > 1 && rows[0].name == rows[1].name }

// Gone reports whether err says that a path does not exist. Where the collection does
// not, nothing is known about its paths.
func Gone(err error) bool {
	e, ok := errors.AsType[*transfer.Error](err)
	return ok && e.NotFound() && !e.NoCollection()
}
