package globussim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// keptVersion is the version of the file that a keeper writes. A simulator
// reads no other.
const keptVersion = 1

// A keeper writes what must survive the process to a file, before it is acknowledged. The file
// has a JSON document on each line: first its version, then records. A later record replaces
// or continues an earlier one with the same key. A record that was cut off by the end of the
// process was not acknowledged, and is dropped at the next start.
//
// The file may lose records if the machine crashes, because it is not synced.
// A nil keeper keeps nothing.
type keeper struct {
	mu      sync.Mutex
	order   []string              // keys of what has changed since the last flush
	records map[string]func() any // what to write of them

	writing sync.Mutex // held from the look at what has changed until it is written
	file    *os.File
	end     int64 // of what the file holds
	buf     bytes.Buffer
}

// A record is a line of the file.
type record struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// kept are the values of each key in a file, oldest first.
type kept struct {
	order  []string // keys as they first occurred
	values map[string][]json.RawMessage
}

// openKeeper opens the file, or makes it, and returns what it holds. Only one
// simulator can have it open.
func openKeeper(name string) (*keeper, *kept, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	k := &keeper{file: f, records: map[string]func() any{}}
	was, err := k.load()
	if err != nil {
		shut(f)
		return nil, nil, fmt.Errorf("state file %s: %w", name, err)
	}
	return k, was, nil
}

// load locks the file and reads it up to its last whole line.
func (k *keeper) load() (*kept, error) {
	if err := syscall.Flock(int(k.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another simulator uses it; stop that one, or name another file")
		}
		return nil, fmt.Errorf("lock it: %w", err)
	}
	was := &kept{values: map[string][]json.RawMessage{}}
	in := bufio.NewReader(k.file)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		torn := errors.Is(err, io.EOF)
		switch {
		case torn && n == 1 && !strings.HasPrefix(versionLine(), string(line)):
			return nil, errForeign
		case torn && n == 1: // new, or cut off when it was
			k.buf.WriteString(versionLine())
			return was, nil
		case torn:
			return was, k.file.Truncate(k.end)
		case err != nil:
			return nil, err
		case n == 1:
			err = checkVersion(line)
		default:
			err = was.add(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		k.end += int64(len(line))
	}
}

var errForeign = errors.New("it is not a state of the simulator; name another file")

func versionLine() string { return fmt.Sprintf("{\"globussim_state\":%d}\n", keptVersion) }

func checkVersion(line []byte) error {
	var header struct {
		Version int `json:"globussim_state"`
	}
	if err := json.Unmarshal(line, &header); err != nil || header.Version < 1 {
		return errForeign
	}
	if header.Version != keptVersion {
		return fmt.Errorf("it has version %d, and this simulator reads version %d; name another file", header.Version, keptVersion)
	}
	return nil
}

// add takes a line of a file.
func (was *kept) add(line []byte) error {
	var r record
	if err := json.Unmarshal(line, &r); err != nil || r.Key == "" {
		return errors.New("it is damaged; name another file, or delete this one to begin anew")
	}
	if was.values[r.Key] == nil {
		was.order = append(was.order, r.Key)
	}
	was.values[r.Key] = append(was.values[r.Key], r.Value)
	return nil
}

// each calls restore with what follows the prefix in each key and with the
// values of the key, in the order in which they first occurred.
func (was *kept) each(prefix string, restore func(id string, values []json.RawMessage) error) error {
	for _, key := range was.order {
		if id, ok := strings.CutPrefix(key, prefix); ok {
			if err := restore(id, was.values[key]); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

// last decodes the newest value of a key into doc, and leaves doc as it is if
// there is none.
func (was *kept) last(key string, doc any) error {
	values := was.values[key]
	if len(values) == 0 {
		return nil
	}
	if err := json.Unmarshal(values[len(values)-1], doc); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// changed has the next flush write a record. Only the last record of a key before a flush is
// written, so each must have all that the ones before it had. The flush calls value without
// any lock.
func (k *keeper) changed(key string, value func() any) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.records[key]; !ok {
		k.order = append(k.order, key)
	}
	k.records[key] = value
}

// flush writes what has changed so far. After an error nothing may be acknowledged, and the
// next flush tries again. The caller holds no lock.
func (k *keeper) flush() error {
	if k == nil {
		return nil
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	order, records := k.order, k.records
	if len(order) > 0 {
		k.order, k.records = nil, map[string]func() any{}
	}
	k.mu.Unlock()
	for _, key := range order {
		value, err := json.Marshal(records[key]())
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		line, err := json.Marshal(record{key, value})
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		k.buf.Write(line)
		k.buf.WriteByte('\n')
	}
	if k.buf.Len() == 0 {
		return nil
	}
	if _, err := k.file.WriteAt(k.buf.Bytes(), k.end); err != nil {
		return err
	}
	k.end += int64(k.buf.Len())
	k.buf.Reset()
	return nil
}

// close writes what is left and lets others have the file.
func (k *keeper) close() error {
	if k == nil {
		return nil
	}
	return errors.Join(k.flush(), k.file.Close())
}

// A keptHolder is a [holder] in the file.
type keptHolder struct {
	Client   string   `json:"client"`
	Identity string   `json:"identity"`
	Policies []string `json:"policies,omitempty"`
	MFA      bool     `json:"mfa,omitempty"`
}

func (h holder) kept() keptHolder {
	return keptHolder{h.client, h.identity, slices.Clone(h.policies), h.mfa}
}

func (h keptHolder) holder() holder {
	return holder{party{h.Client, h.Identity}, h.Policies, h.MFA}
}
