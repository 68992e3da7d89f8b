package migrate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

const (
	maxItems = 100     // lines; a longer batch is not written into the jobs file
	maxBatch = 1 << 20 // bytes; neither is a larger one
)

// A Batch describes the job of a batch file, beyond what the file itself says.
type Batch struct {
	Source, Destination string // COLLECTION[:PATH]; the path is prefixed to those of the lines
	Job                 string // name; empty means one made from the paths
	Schedule            string // empty for a job that is started by hand
	// Manifest is the name by which the jobs file refers to the batch file,
	// if that has more than a hundred lines. Empty means that it cannot.
	Manifest string
}

// BatchFile makes a job from a batch file of globus transfer. A short batch is
// copied into the jobs file; a longer one stays where it is and becomes the
// job's manifest. The error is that of r.
func BatchFile(r io.Reader, b Batch, o Options) (Result, error) {
	im := newImporter(o)
	src, err := parsePlace(b.Source)
	if err != nil {
		im.problem("--source", "%v", err)
	}
	dst, err := parsePlace(b.Destination)
	if err != nil {
		im.problem("--destination", "%v", err)
	}
	if len(im.problems) > 0 {
		return im.done(nil), nil
	}
	doc := transfer.Transfer{
		SourceEndpoint: src.id, DestinationEndpoint: dst.id,
		Items: []transfer.Item{{SourcePath: cmp.Or(src.path, homeFolder), DestinationPath: cmp.Or(dst.path, homeFolder)}},
	}
	src.path, dst.path = literal(src.path), literal(dst.path)
	j := &job{where: o.Name, name: b.Job, schedule: b.Schedule}
	if b.Schedule != "" {
		j.zone = o.Zone
	}
	head, err := io.ReadAll(io.LimitReader(r, maxBatch))
	if err != nil {
		return Result{}, err
	}
	var fields []field
	n, wrong := countItems(io.MultiReader(bytes.NewReader(head), r), &doc)
	switch long := n > maxItems || len(head) == maxBatch; {
	case wrong != nil:
	case !long:
		fields, wrong = batchItems(src, dst, bytes.NewReader(head))
	case b.Manifest == "":
		wrong = errTooLong
	default:
		fields = manifest(src, dst, literal(b.Manifest))
	}
	if wrong != nil {
		im.problem(o.Name, "%v", wrong)
		return im.done(nil), nil
	}
	j.steps = []field{{"transfer", fields}}
	j.nameByStep()
	im.jobs = []*job{j}
	return im.result(), nil
}

// countItems checks all lines of a batch and counts its items.
func countItems(r io.Reader, doc *transfer.Transfer) (n int, err error) {
	for _, err := range jobs.Items(r, doc) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

var errTooLong = fmt.Errorf("there are more than %d lines; put them into a file of their own", maxItems)

// homeFolder is the folder that globus-cli resolves relative paths against.
const homeFolder = "~/"

// manifest returns the keys of a transfer whose items are in a file.
func manifest(src, dst place, name string) []field {
	for _, p := range []*place{&src, &dst} {
		switch {
		case p.path == "":
			p.path = homeFolder
		case !strings.HasSuffix(p.path, "/"):
			p.path += "/" // it is a folder
		}
	}
	return []field{{"source", src}, {"destination", dst}, {"manifest", name}}
}

// batchItems returns the keys of a transfer with the items of a batch. The paths
// of src and dst are prefixed to those of the lines; algorithm, if given, is
// that of the checksums.
func batchItems(src, dst place, r io.Reader, algorithm ...field) ([]field, error) {
	var items [][]field
	for line, err := range jobs.Batch(r, 2) {
		if err != nil {
			return nil, fmt.Errorf("--batch: %w", err)
		}
		item := []field{
			{"source", place{src.id, below(src.path, line.Source)}},
			{"destination", place{dst.id, below(dst.path, line.Destination)}},
		}
		if line.Recursive != nil {
			item = append(item, field{"recursive", *line.Recursive})
		}
		if line.ExternalChecksum != "" {
			item = append(append(item, field{"external_checksum", line.ExternalChecksum}), algorithm...)
		}
		if items = append(items, item); len(items) > maxItems {
			return nil, fmt.Errorf("--batch: %w", errTooLong)
		}
	}
	if len(items) == 0 {
		return nil, errors.New("--batch: there is no line with paths")
	}
	return []field{{"items", items}}, nil
}

// batchPaths returns the paths of a batch of deletes.
func batchPaths(at place, r io.Reader) ([]string, error) {
	var paths []string
	for line, err := range jobs.Batch(r, 1) {
		if err != nil {
			return nil, fmt.Errorf("--batch: %w", err)
		}
		paths = append(paths, below(at.path, line.Source))
	}
	if len(paths) == 0 {
		return nil, errors.New("--batch: there is no line with a path")
	}
	return paths, nil
}

// below prefixes a folder, which may be a template, to a path of a batch if
// that is relative.
func below(folder, path string) string {
	if absolute(path) == path {
		return literal(path)
	}
	return strings.TrimSuffix(cmp.Or(folder, homeFolder), "/") + "/" + literal(path)
}
