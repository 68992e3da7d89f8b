package jobs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/globus-runner/globus-runner/internal/spelling"
	"github.com/globus-runner/globus-runner/transfer"
)

// defaultItemsPerTask is how many lines of a manifest make one task.
const defaultItemsPerTask = 5000

// actions are the keys that say what a job, or one step of it, does.
func (s *source) actions(d *draft) keys {
	add := func(step Step) { d.Steps = append(d.Steps, step) }
	return keys{
		"transfer": func(n ast.Node, field string) { add(s.transfer(d, n, field)) },
		"delete":   func(n ast.Node, field string) { add(s.delete(d, n, field)) },
		"prune":    func(n ast.Node, field string) { add(Step{Prune: s.prune(d, n, field)}) },
		"audit":    func(n ast.Node, field string) { add(Step{Audit: s.audit(d, n, field)}) },
		"mkdir":    func(n ast.Node, field string) { add(Step{Mkdir: s.mkdir(n, field)}) },
		"share":    func(n ast.Node, field string) { add(Step{Share: s.share(n, field)}) },
		"flow":     func(n ast.Node, field string) { add(Step{Flow: s.flow(n, field)}) },
	}
}

func (s *source) steps(d *draft, n ast.Node, field string) {
	for i, n := range s.items(n, field, 1) {
		at := element(field, i)
		s.object(n, at, s.actions(d))
		s.exactlyOne(n, at, "transfer", "delete", "prune", "audit", "mkdir", "share", "flow")
	}
}

// header are the keys of all documents.
func (s *source) header(h *transfer.Header) keys {
	return keys{
		"notify_on_succeeded":  s.flag(&h.NotifyOnSucceeded),
		"notify_on_failed":     s.flag(&h.NotifyOnFailed),
		"notify_on_inactive":   s.flag(&h.NotifyOnInactive),
		"store_base_path_info": s.flag(&h.StoreBasePathInfo),
	}
}

// ofTransfer reports whether a key is one of a transfer, which people put beside it.
func (s *source) ofTransfer(name string) bool {
	_, ok := s.transferOptions(new(transfer.Transfer))[name]
	return ok || slices.Contains([]string{"source", "destination", "recursive", "manifest", "items_per_task"}, name)
}

// transferOptions are the keys of a transfer that the defaults have as well.
func (s *source) transferOptions(t *transfer.Transfer) keys {
	k := s.header(&t.Header)
	k["sync_level"] = s.syncLevel(&t.SyncLevel)
	k["verify_checksum"] = s.flag(&t.VerifyChecksum)
	k["preserve_timestamp"] = s.flag(&t.PreserveTimestamp)
	k["encrypt_data"] = s.flag(&t.EncryptData)
	k["delete_destination_extra"] = s.flag(&t.DeleteDestinationExtra)
	k["skip_source_errors"] = s.flag(&t.SkipSourceErrors)
	k["fail_on_quota_errors"] = s.flag(&t.FailOnQuotaErrors)
	k["recursive_symlinks"] = choice(s, &t.RecursiveSymlinks, "ignore", "keep", "copy")
	k["source_local_user"] = s.line(&t.SourceLocalUser)
	k["destination_local_user"] = s.line(&t.DestinationLocalUser)
	k["filter_rules"] = s.filterRules(&t.FilterRules)
	return k
}

func (s *source) deleteOptions(d *transfer.Delete) keys {
	k := s.header(&d.Header)
	k["recursive"] = s.flag(&d.Recursive)
	k["ignore_missing"] = s.flag(&d.IgnoreMissing)
	k["interpret_globs"] = s.flag(&d.InterpretGlobs)
	k["local_user"] = s.line(&d.LocalUser)
	return k
}

// syncLevel reads a level by its name or number.
func (s *source) syncLevel(to **transfer.SyncLevel) decoder {
	return func(n ast.Node, field string) {
		if v, ok := integer(n); ok && v >= 0 && v <= int(transfer.SyncChecksum) {
			*to = new(transfer.SyncLevel(v))
			return
		}
		parsed(s, to, "exists, size, mtime, checksum or 0 to 3", func(text string) (*transfer.SyncLevel, error) {
			level, err := transfer.ParseSyncLevel(text)
			if err != nil {
				err = fmt.Errorf("%w%s", err, spelling.Hint(text, "exists", "size", "mtime", "checksum"))
			}
			return &level, err
		})(n, field)
	}
}

func (s *source) filterRules(to *[]transfer.FilterRule) decoder {
	return func(n ast.Node, field string) {
		*to = nil // not those of the defaults
		for i, n := range s.items(n, field, 0) {
			rule, at := transfer.FilterRule{Method: "exclude"}, element(field, i)
			s.object(n, at, keys{
				"method": choice(s, &rule.Method, "include", "exclude"),
				"type":   choice(s, &rule.Type, "file", "dir"),
				"name":   s.line(&rule.Name),
			})
			s.require(n, at, "name", `give a pattern such as "*.tmp"`)
			if strings.Contains(rule.Name, "/") {
				s.problemOf(at+".name", "%q has a / in it, but a rule is about the last element of a path", rule.Name)
			}
			s.doubtName(at+".name", rule.Name)
			*to = append(*to, rule)
		}
		s.doubtRules(n, field, *to)
	}
}

// delete reads what to delete.
func (s *source) delete(d *draft, n ast.Node, field string) Step {
	doc := s.defaults.delete
	step := Step{Delete: &doc}
	k := s.deleteOptions(&doc)
	k["unproven"] = s.flag(&step.Unproven)
	var from *declared
	k["collection"] = s.collection(&from)
	k["paths"] = s.skip // want the collection, which may come later
	s.object(n, field, k)
	s.require(n, field, "collection", "say where")
	s.require(n, field, "paths", "say what")
	unproven, said := s.said(field + ".unproven")
	wantsProof := said && !unproven || !s.tried(field+".unproven")
	at := field + ".paths"
	if paths := s.marks[at]; paths != nil {
		for i, n := range s.items(paths, at, 1) {
			if path, ok := s.pathOn(from, n, element(at, i)); ok {
				if err := checkDelete(path.sample, doc.InterpretGlobs); err != nil {
					s.problem(n, element(at, i), "%v", err)
				} else if err := CheckLiteral(path.sample); err != nil && !doc.InterpretGlobs {
					s.warn(n, element(at, i), "%v (interpret_globs: true)", err)
				}
				if from != nil && wantsProof {
					s.deletions = append(s.deletions, deletion{
						passage{d, len(d.Steps), element(at, i), n}, newReach(from.ID, path.text, doc.InterpretGlobs),
					})
				}
				doc.Items = append(doc.Items, transfer.DeleteItem{Path: path.text})
			}
		}
	}
	if from != nil {
		doc.Endpoint = from.ID
	}
	return step
}

// mkdir reads which folder to make.
func (s *source) mkdir(n ast.Node, field string) *Mkdir {
	var m Mkdir
	var on *declared
	s.object(n, field, keys{"collection": s.collection(&on), "path": s.skip, "local_user": s.line(&m.LocalUser)})
	s.require(n, field, "collection", "say where")
	s.require(n, field, "path", "say what")
	if n := s.marks[field+".path"]; n != nil {
		path, ok := s.pathOn(on, n, field+".path")
		if err := checkNoWildcard(path.sample); err != nil && ok {
			s.problem(n, field+".path", "%v", err)
		}
		m.Path = path.text
	}
	if on != nil {
		m.Collection = on.ID
	}
	return &m
}
