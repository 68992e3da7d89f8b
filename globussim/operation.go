package globussim

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"syscall"
)

// A fileDoc describes one entry of a folder.
type fileDoc struct {
	DataType     string  `json:"DATA_TYPE"`
	Name         string  `json:"name"`
	Type         string  `json:"type"`
	Size         int64   `json:"size"`
	LastModified string  `json:"last_modified"`
	Permissions  string  `json:"permissions"`
	User         string  `json:"user"`
	Group        string  `json:"group"`
	LinkTarget   *string `json:"link_target"`
	LinkSize     *int64  `json:"link_size"`
	LinkUser     *string `json:"link_user"`
	LinkGroup    *string `json:"link_group"`
	LinkModified *string `json:"link_last_modified"`
}

// localUser owns all files.
const localUser = "sim"

// fileTime is the form of last_modified, with a blank where tasks have a T.
func fileTime(info fs.FileInfo) string {
	return info.ModTime().UTC().Format("2006-01-02 15:04:05+00:00")
}

// describeFile looks at a path. A link shows the type of its target.
func describeFile(p *collection, abs string) (fileDoc, error) {
	info, err := p.root.Lstat(inRoot(abs))
	if err != nil {
		return fileDoc{}, err
	}
	doc := fileDoc{DataType: "file", Name: wireName(path.Base(abs)), User: localUser, Group: localUser}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := p.root.Readlink(inRoot(abs))
		if err != nil {
			return fileDoc{}, err
		}
		doc.LinkTarget = new(wirePath(target))
		doc.LinkSize = new(info.Size())
		doc.LinkUser, doc.LinkGroup = new(localUser), new(localUser)
		doc.LinkModified = new(fileTime(info))
		// A link that is broken or leads outside stays what it is.
		if target, err := p.root.Stat(inRoot(abs)); err == nil {
			info = target
		}
	}
	doc.Type = fileType(info.Mode())
	doc.Size = info.Size()
	doc.LastModified = fileTime(info)
	doc.Permissions = fmt.Sprintf("%04o", info.Mode().Perm())
	return doc, nil
}

func fileType(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "dir"
	case mode.IsRegular():
		return "file"
	case mode&fs.ModeSymlink != 0:
		return "invalid_symlink"
	case mode&fs.ModeCharDevice != 0:
		return "chr"
	case mode&fs.ModeDevice != 0:
		return "blk"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	}
	return "other"
}

var errOffline = errors.New("the Globus Connect Personal collection is not connected")

// open finds the collection of the request and checks whether the caller may
// do the operation there.
func (sv *service) open(q *request, stops func(PauseRule) bool) (*collection, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return nil, e
	}
	if e := sv.admit(q, p); e != nil {
		return nil, e
	}
	return p, sv.paused(p, stops)
}

// external is the error of a collection, such as
// ExternalError.MkdirFailed.Exists. Of the codes, those of an existing path at
// mkdir, of a listing of no folder and of a disconnected collection are
// confirmed.
func external(p *collection, name string, err error, abs string) *apiError {
	kind := "EndpointError"
	switch {
	case errors.Is(err, errOffline):
		kind = "GCDisconnected"
	case errors.Is(err, fs.ErrExist):
		kind = "Exists"
	case errors.Is(err, fs.ErrNotExist):
		kind = "NotFound"
	case errors.Is(err, syscall.ENOTDIR):
		kind = "NotDirectory"
	case codeOf(err) == codeDenied:
		kind = "PermissionDenied"
	}
	return &apiError{
		Status: http.StatusBadGateway, Code: "ExternalError." + name + "Failed." + kind,
		Message: fmt.Sprintf("Error (%s)\nEndpoint: %s (%s)\nFile: %s\nMessage: %s", operationOf(name), p.Name, p.ID, wirePath(abs), kind),
	}
}

// operationOf is the operation of an error's name, as messages call it: "list"
// also stands for stat.
func operationOf(name string) string {
	if name == "DirListing" || name == "Stat" {
		return "list"
	}
	return strings.ToLower(name)
}

// denied is the answer of a collection that does not let the identity do the
// operation that an error would be named after, such as Mkdir.
func denied(p *collection, name, abs string) *apiError {
	return &apiError{
		Status: http.StatusForbidden, Code: "EndpointPermissionDenied",
		Message: fmt.Sprintf("Denied by endpoint, Error (%s)\nEndpoint: %s (%s)\nFile: %s\nMessage: Path not allowed.", operationOf(name), p.Name, p.ID, wirePath(abs)),
	}
}

// stat answers GET /operation/endpoint/<id>/stat with a bare file document.
// Official clients may leave the path out; that it then is the default
// directory, as in a listing, is not confirmed.
func (sv *service) stat(q *request) (int, any, *apiError) {
	p, e := sv.open(q, func(PauseRule) bool { return false })
	if e != nil {
		return 0, nil, e
	}
	abs, e := p.resolve(cmp.Or(q.param("path"), "/~/"))
	switch {
	case e != nil:
		return 0, nil, e
	case p.condition().Offline:
		return 0, nil, external(p, "Stat", errOffline, abs)
	case !p.allows(q.owner, abs, "r"):
		return 0, nil, denied(p, "Stat", abs)
	}
	doc, err := describeFile(p, abs)
	switch {
	case err == nil:
		return q.single(doc)
	case codeOf(err) == codeDenied:
		return 0, nil, denied(p, "Stat", abs)
	}
	return 0, nil, &apiError{
		Status: http.StatusNotFound, Code: "NotFound",
		Message: fmt.Sprintf("Path not found, Error (list)\nEndpoint: %s (%s)\nMessage: No such file or directory\n---\nDetails: Error: '%s' not found", p.Name, p.ID, wirePath(abs)),
	}
}
