package tree

import "iter"

// A form is the part that names have in common if some disks treat them as the same.
type form struct {
	name   string
	folder bool
}

// folded is [merge], but also matches entries that exist on one side only with an
// entry of the other side whose name has another form.
func (w *walker) folded(a, b []row) iter.Seq[match] {
	twins := w.twins(a, b)
	if len(twins) == 0 {
		return merge(a, b)
	}
	return func(yield func(match) bool) {
		for m := range merge(a, b) {
			switch source, destination := m.rows[0], m.rows[1]; {
			case source == nil && twins[destination] != nil:
				continue // it is yielded with its twin
			case destination == nil:
				m.rows[1] = twins[source]
			}
			if !yield(m) {
				return
			}
		}
	}
}

// twins maps each entry that exists on one side only to the entry on the other
// side under another form of its name, if there is exactly one.
func (w *walker) twins(a, b []row) map[*row]*row {
	if w.fold == nil || len(a) == 0 || len(b) == 0 {
		return nil
	}
	var alone [2][]*row
	for m := range merge(a, b) {
		for i, r := range m.rows {
			if r != nil && m.rows[1-i] == nil && r.rule == nil {
				alone[i] = append(alone[i], r)
			}
		}
	}
	if len(alone[0]) == 0 || len(alone[1]) == 0 {
		return nil
	}
	forms := map[form]*[2][]*row{}
	for i, rows := range alone {
		for _, r := range rows {
			f := form{w.fold(r.name), r.kind == Dir}
			if forms[f] == nil {
				forms[f] = new([2][]*row)
			}
			forms[f][i] = append(forms[f][i], r)
		}
	}
	twins := map[*row]*row{}
	for _, f := range forms {
		if len(f[0]) == 1 && len(f[1]) == 1 {
			twins[f[0][0]], twins[f[1][0]] = f[1][0], f[0][0]
		}
	}
	return twins
}
