package jobs

import (
	"path"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/transfer"
)

// A move is one pair of paths of a transfer, with templates resolved for the
// sample instant.
type move struct {
	passage
	from, to spot
	reads    reach // where the source may be, whatever the templates say
	writes   reach // the same for the destination
	mirror   bool  // deletes what is extra
	filtered bool  // leaves something out
	listed   bool  // the ends are those of a manifest, whose lines say what is copied
}

// A spot is a path on a collection.
type spot struct{ collection, path string }

// A route reads the two ends of the items of a transfer, which must all be
// between the same collections.
type route struct {
	from, to *declared
	pairs    *pairs // from the first item on
}

// transfer reads a transfer.
func (s *source) transfer(d *draft, n ast.Node, field string) Step {
	doc := s.defaults.transfer
	step := Step{Transfer: &doc}
	var single transfer.Item
	k := s.transferOptions(&doc)
	for _, key := range []string{"source", "destination", "items"} {
		k[key] = s.skip // want the options, which may come later
	}
	k["recursive"] = s.tristate(&single.Recursive)
	k["external_checksum"] = s.line(&single.ExternalChecksum)
	k["checksum_algorithm"] = s.line(&single.ChecksumAlgorithm)
	k["manifest"] = s.manifest(&step.Manifest)
	k["items_per_task"] = s.count(&step.ItemsPerTask, 1, 1_000_000)
	s.object(n, field, k)
	if !mapping(n) {
		return step
	}
	var r route
	switch {
	case s.has(field + ".items"):
		s.not(field, "items", "source", "destination", "manifest", "recursive", "external_checksum", "checksum_algorithm", "items_per_task")
		s.transferItems(d, &doc, &r, field)
	case !s.tried(field + ".items"):
		s.ends(d, &doc, &r, n, field, single)
	}
	if s.has(field + ".manifest") {
		s.not(field, "manifest", "recursive", "external_checksum", "checksum_algorithm")
		if step.ItemsPerTask == 0 {
			step.ItemsPerTask = defaultItemsPerTask
		}
	} else if s.has(field+".items_per_task") && !s.tried(field+".manifest") {
		s.problemOf(field+".items_per_task", "there is no manifest to split")
	}
	if r.from != nil && r.to != nil {
		doc.SourceEndpoint, doc.DestinationEndpoint = r.from.ID, r.to.ID
	}
	s.foldersOnly(&doc, field)
	return step
}

// not reports keys that cannot be used together with another one.
func (s *source) not(field, with string, names ...string) {
	for _, name := range names {
		if at := field + "." + name; s.has(at) {
			s.problemOf(at, "%s does not go with %s", name, with)
		}
	}
}

// foldersOnly reports options that do nothing for single files.
func (s *source) foldersOnly(doc *transfer.Transfer, field string) {
	for _, item := range doc.Items {
		if item.Recursive == nil || *item.Recursive {
			return
		}
	}
	for name, set := range map[string]bool{
		"filter_rules":             len(doc.FilterRules) > 0,
		"delete_destination_extra": doc.DeleteDestinationExtra,
		"recursive_symlinks":       doc.RecursiveSymlinks != "",
	} {
		if at := field + "." + name; set && s.has(at) && len(doc.Items) > 0 {
			s.problemOf(at, "%s is for folders, but recursive is false", name)
		}
	}
}

// transferItems reads the list of items.
func (s *source) transferItems(d *draft, doc *transfer.Transfer, r *route, field string) {
	at := field + ".items"
	for i, n := range s.items(s.marks[at], at, 1) {
		at := element(at, i)
		var item transfer.Item
		s.object(n, at, keys{
			"source":             s.skip,
			"destination":        s.skip,
			"recursive":          s.tristate(&item.Recursive),
			"external_checksum":  s.line(&item.ExternalChecksum),
			"checksum_algorithm": s.line(&item.ChecksumAlgorithm),
		})
		s.ends(d, doc, r, n, at, item)
	}
}

// ends reads source and destination of an item, and adds it to doc.
func (s *source) ends(d *draft, doc *transfer.Transfer, r *route, n ast.Node, field string, item transfer.Item) {
	s.require(n, field, "source", "say from where, as collection:/path")
	s.require(n, field, "destination", "say to where, as collection:/path")
	from, to := s.marks[field+".source"], s.marks[field+".destination"]
	if from == nil || to == nil {
		return
	}
	src, ok := s.location(&r.from, from, field+".source")
	dst, ok2 := s.location(&r.to, to, field+".destination")
	item.SourcePath, item.DestinationPath = src.sample, dst.sample
	for _, fault := range checkEnds(&item) {
		at := field + "." + fault.key
		s.problemOf(at, "%s", fault.msg)
	}
	if item.ChecksumAlgorithm != "" && item.ExternalChecksum == "" && !s.tried(field+".external_checksum") {
		s.problemOf(field+".checksum_algorithm", "there is no external_checksum that it could be about")
	}
	if !ok || !ok2 || r.from == nil || r.to == nil {
		return
	}
	listed := s.has(field + ".manifest")
	folder, into := strings.HasSuffix(src.sample, "/"), strings.HasSuffix(dst.sample, "/")
	switch each, _ := s.eachOf(d.Name); {
	case each != nil && !each.vague && each.isFile(r.from.ID, src.text):
		s.fileEnds(field, src.text, dst.text)
	case folder && !into:
		s.warn(to, field+".destination", "the source ends in /, so it is a folder, and the destination does not: write %s/", short(dst.text))
	case into && !folder && item.Recursive == nil && item.ExternalChecksum == "" && !listed:
		s.warn(to, field+".destination", "the destination ends in /, the source does not: a file would not be copied, write %s for it; for a folder write %s/",
			short(dst.text+path.Base(src.text)), short(src.text))
	}
	item.SourcePath, item.DestinationPath = src.text, dst.text
	doc.Items = append(doc.Items, item)
	if r.pairs == nil {
		r.pairs = newPairs(doc, "item")
	}
	if err := r.pairs.claim(dst.text, len(doc.Items)); err != nil {
		s.problem(to, field+".destination", "%v", err)
	}
	s.moves = append(s.moves, move{
		passage: passage{d, len(d.Steps), field, to}, mirror: doc.DeleteDestinationExtra, filtered: len(doc.FilterRules) > 0, listed: listed,
		from: spot{r.from.ID, src.sample}, reads: newReach(r.from.ID, src.text, false),
		to: spot{r.to.ID, dst.sample}, writes: newReach(r.to.ID, dst.text, false),
	})
}

// fileEnds looks at the ends of an item that is a file.
func (s *source) fileEnds(field, from, to string) {
	if file, folder := strings.CutSuffix(from, "/"); folder {
		s.problemOf(field+".source", "items are files (type: file), and a source that ends in / is a folder; write %s", short(file))
	}
	if into, folder := strings.CutSuffix(to, "/"); folder {
		if base := path.Base(from); path.Base(into) != base {
			into += "/" + base
		}
		s.problemOf(field+".destination", "items are files (type: file), and a destination that ends in / is a folder, which Globus does not copy a file to; write %s", short(into))
	}
}

// tristate reads true or false, if leaving it out means something else.
func (s *source) tristate(to **bool) decoder {
	return func(n ast.Node, field string) {
		if b, ok := s.boolean(n, field); ok {
			*to = &b
		}
	}
}

// manifest reads the name of a manifest.
func (s *source) manifest(to *string) decoder {
	return func(n ast.Node, field string) {
		name, ok := s.oneLine(n, field)
		if !ok {
			return
		}
		if _, ok := s.sample(n, field, name, 0); ok {
			*to = s.beside(name)
		}
	}
}
