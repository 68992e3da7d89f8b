package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"math"
	"net/http"
	"net/url"
)

// An Entry is a file or directory of a collection.
type Entry struct {
	Name         string `json:"name"`
	Type         string `json:"type"`          // file, dir, invalid_symlink, chr, blk, pipe or other; a valid link has the type of its target
	Size         int64  `json:"size"`          // bytes
	LastModified Time   `json:"last_modified"` // zero if the collection does not know
	Permissions  string `json:"permissions"`   // octal, such as 0644
	User         string `json:"user"`
	Group        string `json:"group"`

	// These are about the link itself, if the entry is one.
	LinkTarget       string `json:"link_target"` // empty if it is not a link
	LinkSize         int64  `json:"link_size"`   // bytes
	LinkUser         string `json:"link_user"`
	LinkGroup        string `json:"link_group"`
	LinkLastModified Time   `json:"link_last_modified"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (e *Entry) keep(doc json.RawMessage) { e.Raw = doc }

// An LsQuery selects and orders the entries of a directory.
type LsQuery struct {
	Path       string   // empty means the collection's default directory
	OrderBy    string   // field, field ASC or field DESC, several joined by commas
	Filters    []string // an entry must meet one of these; each is clauses joined by slashes, such as type:dir/name:~a*
	ShowHidden *bool    // entries whose name begins with a dot; nil means true
	LocalUser  string   // chooses among several local accounts of a mapped collection
	Limit      int      // entries in all; 0 means all
}

// maxEntries is how many entries are asked for at a time. The service reads the
// whole directory for each page, so a page is as large as maxReply allows with
// names of usual length.
const maxEntries = 15_000

// Ls lists a directory of a collection. The collection may take tens of seconds
// to answer. Its own errors are an [*Error] whose CollectionFailed is true.
// API: GET /operation/endpoint/<id>/ls.
func (c *Client) Ls(ctx context.Context, collection string, q LsQuery) iter.Seq2[*Entry, error] {
	query := url.Values{}
	setQuery(query, "path", q.Path)
	setQuery(query, "orderby", q.OrderBy)
	setQuery(query, "local_user", q.LocalUser)
	for _, f := range q.Filters {
		query.Add("filter", f)
	}
	if q.ShowHidden != nil {
		query.Set("show_hidden", binary(*q.ShowHidden))
	}
	r := operation(http.MethodGet, collection, "ls")
	r.query = query
	return list[Entry](ctx, c, r, q.Limit, pagesOf(maxEntries, math.MaxInt))
}

// setQuery sets key to value unless value is empty.
func setQuery(q url.Values, key, value string) {
	if value != "" {
		q.Set(key, value)
	}
}

func operation(method, collection, name string) request {
	return request{method: method, path: []string{"operation", "endpoint", collection, name}}
}

// A FileOption configures an operation on a path.
type FileOption func(*fileOptions)

type fileOptions struct{ localUser string }

// AsLocalUser chooses among several local accounts of a mapped collection. An empty
// name leaves the choice to the collection.
func AsLocalUser(name string) FileOption {
	return func(o *fileOptions) { o.localUser = name }
}

func fileOptionsOf(opts []FileOption) (o fileOptions) {
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Stat returns the file or directory at path. If there is none, the error is an
// [*Error] whose NotFound is true. API: GET /operation/endpoint/<id>/stat.
func (c *Client) Stat(ctx context.Context, collection, path string, opts ...FileOption) (*Entry, error) {
	r := operation(http.MethodGet, collection, "stat")
	r.query = url.Values{"path": {path}}
	setQuery(r.query, "local_user", fileOptionsOf(opts).localUser)
	return call[Entry](ctx, c, r)
}

// Mkdir creates the directory path. Its parent must exist. If the path itself
// exists, the error is an [*Error] with the code
// ExternalError.MkdirFailed.Exists. API: POST /operation/endpoint/<id>/mkdir.
func (c *Client) Mkdir(ctx context.Context, collection, path string, opts ...FileOption) (*Result, error) {
	r := operation(http.MethodPost, collection, "mkdir")
	r.body = struct {
		DataType  string `json:"DATA_TYPE"`
		Path      string `json:"path"`
		LocalUser string `json:"local_user,omitempty"`
	}{"mkdir", path, fileOptionsOf(opts).localUser}
	return call[Result](ctx, c, r)
}

// Rename moves the file or directory oldPath to newPath within the collection.
// API: POST /operation/endpoint/<id>/rename.
func (c *Client) Rename(ctx context.Context, collection, oldPath, newPath string, opts ...FileOption) (*Result, error) {
	r := operation(http.MethodPost, collection, "rename")
	r.body = struct {
		DataType  string `json:"DATA_TYPE"`
		OldPath   string `json:"old_path"`
		NewPath   string `json:"new_path"`
		LocalUser string `json:"local_user,omitempty"`
	}{"rename", oldPath, newPath, fileOptionsOf(opts).localUser}
	return call[Result](ctx, c, r)
}
