package migrate

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/globus-runner/globus-runner/internal/pattern"
	"github.com/globus-runner/globus-runner/internal/plain"
)

// A field is a key of the jobs file with its value: a string, a bool, []field
// for a mapping, []string or [][]field for a list, a place, or a *job, which is
// written as its name.
type field struct {
	key   string
	value any
}

// write writes the jobs, whose names in the file are names.
func (im *importer) write(names []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Made from %s by runner import.\n", plain.Line(im.Name))
	short := im.nameCollections()
	zone, mails, jobs := im.commonZone(), im.mailing(), []field{}
	common := im.commonMail()
	comments := map[string][]string{} // the origin of a job, and what was left out of it
	for i, j := range im.jobs {
		comments[names[i]] = []string{j.where}
		for _, note := range im.notes {
			if note.Where == j.where {
				comments[names[i]] = append(comments[names[i]], note.Msg)
			}
		}
		fields := j.fields(zone, func(fields []field) []field { return im.resolve(fields, short, names) })
		if common == nil && len(j.mail) > 0 {
			fields = append(fields, mails.failed(j.mail))
		}
		jobs = append(jobs, field{names[i], fields})
	}
	b.WriteString("version: 1\n")
	writeFields(&b, []field{{"collections", collections(short)}}, 0)
	if len(mails) > 0 {
		writeFields(&b, []field{{"notify", mails.channels()}}, 0)
	}
	var defaults []field
	if zone != "" {
		defaults = append(defaults, field{"time_zone", zone})
	}
	if common != nil {
		defaults = append(defaults, mails.failed(common))
	}
	if len(defaults) > 0 {
		writeFields(&b, []field{{"defaults", defaults}}, 0)
	}
	b.WriteString("jobs:\n")
	for _, f := range jobs {
		for _, text := range comments[f.key] {
			fmt.Fprintf(&b, "  # %s\n", plain.Line(text))
		}
		writeFields(&b, []field{f}, 1)
	}
	return b.Bytes()
}

// commonZone returns the zone of all jobs with a schedule, or "" if the zones
// differ or are UTC.
func (im *importer) commonZone() string {
	zone := ""
	for _, j := range im.jobs {
		switch {
		case j.zone == "":
			return ""
		case zone == "":
			zone = j.zone
		case zone != j.zone:
			return ""
		}
	}
	return zone
}

// fields returns the keys of the job.
func (j *job) fields(zone string, resolve func([]field) []field) []field {
	var fields []field
	if j.description != "" {
		fields = append(fields, field{"description", j.description})
	}
	if j.schedule != "" {
		fields = append(fields, field{"schedule", j.schedule})
	}
	if j.zone != zone {
		fields = append(fields, field{"time_zone", j.zone})
	}
	if j.suspend {
		fields = append(fields, field{"suspend", true})
	}
	fields = append(fields, j.policies...)
	if len(j.steps) == 1 && j.steps[0].key != "mkdir" { // mkdir exists only as a step
		return append(fields, resolve(j.steps)...)
	}
	var steps [][]field
	for _, s := range j.steps {
		steps = append(steps, resolve([]field{s}))
	}
	return append(fields, field{"steps", steps})
}

// A place is a location whose collection does not have its short name yet.
type place struct {
	id   string // UUID in lower case
	path string // may be a template; empty means the collection alone
}

// texts yields all texts in fields.
func texts(fields []field) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, f := range fields {
			var found []string
			switch v := f.value.(type) {
			case place:
				found = []string{v.path}
			case string:
				found = []string{v}
			case []string:
				found = v
			case []field:
				found = slices.Collect(texts(v))
			case [][]field:
				for _, entry := range v {
					found = slices.AppendSeq(found, texts(entry))
				}
			}
			for _, text := range found {
				if !yield(text) {
					return
				}
			}
		}
	}
}

// resolve returns fields with ids of collections replaced by short names, and
// jobs by their names.
func (im *importer) resolve(fields []field, short map[string]string, names []string) []field {
	out := slices.Clone(fields)
	for i, f := range out {
		switch v := f.value.(type) {
		case place:
			text := short[v.id]
			if v.path != "" {
				text += ":" + v.path
			}
			out[i].value = text
		case *job:
			out[i].value = []string{names[slices.Index(im.jobs, v)]}
		case []field:
			out[i].value = im.resolve(v, short, names)
		case [][]field:
			list := make([][]field, len(v))
			for k := range v {
				list[k] = im.resolve(v[k], short, names)
			}
			out[i].value = list
		}
	}
	return out
}

// collections returns the mapping of short names to ids, by name.
func collections(short map[string]string) []field {
	var fields []field
	for id, name := range short {
		fields = append(fields, field{name, id})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return fields
}

// writeFields writes a mapping in block style.
func writeFields(b *bytes.Buffer, fields []field, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, f := range fields {
		b.WriteString(indent + quote(f.key) + ":")
		switch v := f.value.(type) {
		case []field:
			if len(v) == 0 {
				b.WriteString(" {}\n")
				continue
			}
			b.WriteByte('\n')
			writeFields(b, v, depth+1)
		case [][]field:
			b.WriteByte('\n')
			for _, entry := range v {
				var item bytes.Buffer
				writeFields(&item, entry, depth+2)
				fmt.Fprintf(b, "%s  - %s", indent, strings.TrimPrefix(item.String(), indent+"    "))
			}
		case []string:
			b.WriteByte('\n')
			for _, text := range v {
				fmt.Fprintf(b, "%s  - %s\n", indent, quote(text))
			}
		case string:
			b.WriteString(" " + quote(v) + "\n")
		default:
			fmt.Fprintf(b, " %v\n", v)
		}
	}
}

// plainScalar matches texts that YAML reads as the same text without quotes.
var plainScalar = pattern.Lazy(`^[A-Za-z/][A-Za-z0-9/_.~@+-]*(:[A-Za-z0-9/_.~@+-]+)*$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// quote returns a text as a YAML scalar.
func quote(text string) string {
	scalar := plainScalar().MatchString(text)
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		scalar = false
	}
	switch {
	case scalar:
		return text
	case plain.Line(text) != text:
		return strconv.Quote(text) // YAML knows all escapes of Go
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
