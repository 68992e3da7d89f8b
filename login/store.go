package login

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/globus-runner/globus-runner/auth"
)

const (
	maxStore     = 1 << 20 // bytes
	storeVersion = 1
	lockPause    = 20 * time.Millisecond // between tries to lock
	lockTime     = 2 * time.Minute       // others hold the lock only for a refresh
)

// A Login is the permission that a person gave a native app, with its tokens.
type Login struct {
	Auth     string                // address of Globus Auth
	ClientID string                // of the native app
	Identity string                // id of the person; empty unless it was asked for
	Username string                // of the person; empty unless it was asked for
	Scopes   string                // what was asked for, with dependencies
	Tokens   map[string]auth.Token // by resource server
}

func (l Login) same(other Login) bool { return l.at(other.Auth) && l.ClientID == other.ClientID }

// at reports whether the login was made at an address of Globus Auth, with or
// without a slash at its end.
func (l Login) at(authURL string) bool {
	return strings.TrimRight(l.Auth, "/") == strings.TrimRight(authURL, "/")
}

// A StoreError says that a token cannot be renewed because of the file of
// logins or its folder. The problem has to be fixed on this machine.
type StoreError struct{ Err error } // names the file

func (e *StoreError) Error() string { return "the stored login: " + e.Err.Error() }
func (e *StoreError) Unwrap() error { return e.Err }

// A Store is a file of logins, one for each native app and address of Globus
// Auth. Nobody but its user may read it. Its methods may be called
// concurrently, by several processes too.
type Store struct{ file string }

// NewStore returns the store in a file, which need not exist.
func NewStore(file string) *Store { return &Store{file} }

// File returns the name of the file.
func (s *Store) File() string { return s.file }

// Logins returns the logins at an address of Globus Auth, the newest first. A
// file that others may read, or that is not a plain file, is an error.
func (s *Store) Logins(authURL string) ([]Login, error) {
	all, err := s.read()
	return slices.DeleteFunc(all, func(l Login) bool { return !l.at(authURL) }), err
}

// Writable checks whether [Store.Put] could keep a login.
func (s *Store) Writable(ctx context.Context) error {
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	return Writable(s.file)
}

// Put keeps a login. It replaces, and returns, the login of the same app and address;
// old is nil if there was none.
func (s *Store) Put(ctx context.Context, l Login) (old *Login, err error) {
	err = s.change(ctx, func(all []Login) []Login {
		if i := slices.IndexFunc(all, l.same); i >= 0 {
			old = &all[i]
		}
		return append([]Login{l}, slices.DeleteFunc(slices.Clone(all), l.same)...)
	})
	return old, err
}

// Remove forgets a login. It is not an error if the login does not exist.
func (s *Store) Remove(ctx context.Context, l Login) error {
	return s.change(ctx, func(all []Login) []Login { return slices.DeleteFunc(all, l.same) })
}

// change edits the file under its lock.
func (s *Store) change(ctx context.Context, edit func([]Login) []Login) error {
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	all, err := s.read()
	if err != nil {
		return err
	}
	return s.write(edit(all))
}

// A storeDocument is the file. Secrets are plain here and nowhere else.
type storeDocument struct {
	Version int             `json:"version"`
	Logins  []loginDocument `json:"logins"` // newest first
}

type loginDocument struct {
	AuthURL  string                        `json:"auth_url"`
	ClientID string                        `json:"client_id"`
	Identity string                        `json:"identity,omitempty"`
	Username string                        `json:"username,omitempty"`
	Scopes   string                        `json:"scopes"`
	Tokens   map[string]auth.TokenDocument `json:"tokens"` // by resource server
}

// read returns all logins; none if there is no file.
func (s *Store) read() ([]Login, error) {
	f, err := os.OpenFile(s.file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.ELOOP):
		return nil, fmt.Errorf("%s is a symbolic link: logins are kept in a plain file", s.file)
	case err != nil:
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a plain file", s.file)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("others may read %s (mode %#o): run chmod 600 %[1]s, and runner logout if they could have done so", s.file, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStore+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxStore {
		return nil, fmt.Errorf("%s is longer than %d bytes", s.file, maxStore)
	}
	return s.parse(data)
}

func (s *Store) parse(data []byte) ([]Login, error) {
	var doc storeDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s holds no logins (remove it and log in again): %w", s.file, withoutContent(err))
	}
	if doc.Version != storeVersion {
		return nil, fmt.Errorf("%s has version %d, and this program knows version %d: use the newer program, or remove the file and log in again", s.file, doc.Version, storeVersion)
	}
	var all []Login
	for _, d := range doc.Logins {
		l := Login{d.AuthURL, d.ClientID, d.Identity, d.Username, d.Scopes, make(map[string]auth.Token)}
		for server, t := range d.Tokens {
			t.ResourceServer = server
			l.Tokens[server] = t.Token()
		}
		all = append(all, l)
	}
	return all, nil
}

// withoutContent returns an error of package json without a value in it.
func withoutContent(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s has a wrong type", cmp.Or(e.Field, "the document"))
	}
	return err
}

// write replaces the file: after a crash it has the old or the new content. The
// caller holds the lock.
func (s *Store) write(all []Login) error {
	doc := storeDocument{Version: storeVersion, Logins: []loginDocument{}}
	for _, l := range all {
		d := loginDocument{l.Auth, l.ClientID, l.Identity, l.Username, l.Scopes, make(map[string]auth.TokenDocument)}
		for server, t := range l.Tokens {
			d.Tokens[server] = t.Document()
		}
		doc.Logins = append(doc.Logins, d)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	if buf.Len() > maxStore {
		return fmt.Errorf("%s would be longer than %d bytes: log out somewhere first", s.file, maxStore)
	}
	return replace(s.file, buf.Bytes())
}

// lock creates the folder and takes the lock of the file.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	dir := filepath.Dir(s.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("others may write in %s (mode %#o): run chmod go-w %[1]s", dir, mode)
	}
	return lock(ctx, s.file)
}
