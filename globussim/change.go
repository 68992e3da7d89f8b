package globussim

import (
	"errors"
	"io/fs"
	"net/http"
)

// A change is one kind of call that changes one or two paths of a collection.
type change struct {
	name, dataType        string
	fields                []string // of the document, all required
	stops                 func(PauseRule) bool
	apply                 func(p *collection, paths map[string]string) error
	status                int
	result, code, message string
}

// change carries out such a call.
func (sv *service) change(q *request, c change) (int, any, *apiError) {
	var doc struct {
		DataType string `json:"DATA_TYPE"`
		Path     string `json:"path"`
		OldPath  string `json:"old_path"`
		NewPath  string `json:"new_path"`
		Target   string `json:"symlink_target"`
	}
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	if doc.DataType != "" && doc.DataType != c.dataType {
		return 0, nil, badRequest("DATA_TYPE must be '" + c.dataType + "'")
	}
	names := map[string]string{"path": doc.Path, "old_path": doc.OldPath, "new_path": doc.NewPath, "symlink_target": doc.Target}
	for _, field := range c.fields {
		if names[field] == "" {
			return 0, nil, badRequest(field + " is required")
		}
	}
	p, e := sv.open(q, c.stops)
	if e != nil {
		return 0, nil, e
	}
	paths := make(map[string]string)
	for _, field := range c.fields {
		if field == "symlink_target" {
			paths[field] = diskName(doc.Target) // not looked at
			continue
		}
		abs, e := p.resolve(names[field])
		if e != nil {
			return 0, nil, e
		}
		paths[field] = abs
		if p.condition().Offline {
			return 0, nil, external(p, c.name, errOffline, abs)
		}
		if !p.allows(q.owner, abs, "w") {
			return 0, nil, denied(p, c.name, abs)
		}
	}
	if err := c.apply(p, paths); err != nil {
		return 0, nil, external(p, c.name, err, paths[c.fields[0]])
	}
	return c.status, q.result(c.result, c.code, c.message), nil
}

// mkdir answers POST /operation/endpoint/<id>/mkdir.
func (sv *service) mkdir(q *request) (int, any, *apiError) {
	return sv.change(q, change{
		name: "Mkdir", dataType: "mkdir", fields: []string{"path"},
		stops: func(r PauseRule) bool { return r.Mkdir },
		apply: func(p *collection, paths map[string]string) error {
			if paths["path"] == "/" {
				return fs.ErrExist
			}
			return p.root.Mkdir(inRoot(paths["path"]), 0o755)
		},
		// Fixtures have 200 and 202.
		status: sv.server.answers.Load().Made, result: "mkdir_result", code: "DirectoryCreated",
		message: "The directory was created successfully",
	})
}

// rename answers POST /operation/endpoint/<id>/rename. That an existing path
// is not replaced is not confirmed.
func (sv *service) rename(q *request) (int, any, *apiError) {
	return sv.change(q, change{
		name: "Rename", dataType: "rename", fields: []string{"old_path", "new_path"},
		stops: func(r PauseRule) bool { return r.Rename },
		apply: func(p *collection, paths map[string]string) error {
			from, to := paths["old_path"], paths["new_path"]
			if from == "/" || to == "/" {
				return fs.ErrPermission
			}
			if _, err := p.root.Lstat(inRoot(from)); err != nil {
				return err
			}
			if _, err := p.root.Lstat(inRoot(to)); err == nil {
				if !sv.server.answers.Load().RenameReplaces {
					return fs.ErrExist
				}
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return p.root.Rename(inRoot(from), inRoot(to))
		},
		status: http.StatusOK, result: "result", code: "FileRenamed",
		message: "File or directory renamed successfully",
	})
}

// symlink answers POST /operation/endpoint/<id>/symlink. The link may lead
// anywhere, but nothing follows one that leads out of the collection. The
// names in the answer are not confirmed.
func (sv *service) symlink(q *request) (int, any, *apiError) {
	return sv.change(q, change{
		name: "Symlink", dataType: "symlink", fields: []string{"path", "symlink_target"},
		stops: func(r PauseRule) bool { return r.Symlink },
		apply: func(p *collection, paths map[string]string) error {
			if paths["path"] == "/" {
				return fs.ErrExist
			}
			return p.root.Symlink(paths["symlink_target"], inRoot(paths["path"]))
		},
		status: http.StatusAccepted, result: "symlink_result", code: "SymlinkCreated",
		message: "The symlink was created successfully",
	})
}
