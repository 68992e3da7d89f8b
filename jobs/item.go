package jobs

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/internal/pattern"
)

// An Item is an entry of a watched folder, and what an occurrence of a job with
// a [ForEach] is about.
type Item struct {
	Name string
	Path string    // absolute, without a slash at the end
	Time time.Time // when it was modified, as the folder's listing says; else when it was first seen
	Size int64     // bytes, of a folder those of all files below it
	// Groups are the named groups of the match; empty if it has none.
	Groups map[string]string
}

// itemPrefix begins the keys of items.
const itemPrefix = "item:"

// maxPlain is the length of the longest name that stands in a key as it is. It
// leaves room for a million generations.
const maxPlain = 48

var (
	plainName  = pattern.Lazy(`^[-A-Za-z0-9._:+]+$`) // without @, which begins the generation
	hashedName = pattern.Lazy(`\+[0-9a-f]{16}$`)
)

// ItemKey is the key of the occurrence of an item: "item:" and its name. A name
// that a key cannot hold is shortened to what is readable of it, with a checksum
// of the whole. A generation, counted from 1, follows from the second on, such
// as item:run_7@2. No two pairs of name and generation have the same key.
func ItemKey(name string, generation int) Key {
	suffix := ""
	if generation > 1 {
		suffix = "@" + strconv.Itoa(generation)
	}
	room := MaxKey - len(itemPrefix) - len(suffix)
	if len(name) <= min(room, maxPlain) && plainName().MatchString(name) && !hashedName().MatchString(name) {
		return Key(itemPrefix + name + suffix)
	}
	sum := sha256.Sum256([]byte(name))
	checksum := "+" + hex.EncodeToString(sum[:8])
	return Key(itemPrefix + readable(name, room-len(checksum)) + checksum + suffix)
}

// chosenItem is the key of the item that somebody named by what stands in a key, such as
// run_7@2, or by its name.
func chosenItem(name string) Key {
	base, number, _ := strings.Cut(name, "@")
	generation, err := strconv.Atoi(cmp.Or(number, "1"))
	as := Key(itemPrefix + name)
	if err == nil && (ItemKey(base, generation) == as || len(as) <= MaxKey && plainName().MatchString(base) && hashedName().MatchString(base)) {
		return as
	}
	return ItemKey(name, 1)
}

// readable returns the beginning of a name, with dashes for characters that a key cannot have.
func readable(name string, most int) string {
	var b strings.Builder
	for _, r := range name {
		if b.Len() == most {
			break
		}
		if plainName().MatchString(string(r)) {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// IsItem reports whether k is the key of an item.
func (k Key) IsItem() bool { return strings.HasPrefix(string(k), itemPrefix) }

// ItemName returns the name of the item that k is a key of, whatever the generation.
// It reports false if k has a checksum of the name, or is not the key of an item.
func (k Key) ItemName() (name string, whole bool) {
	name, ok := strings.CutPrefix(string(k), itemPrefix)
	name, _, _ = strings.Cut(name, "@") // no name that is whole has one
	return name, ok && !hashedName().MatchString(name)
}

// Item returns the item of a name in the folder. The error says why the name cannot be that of
// an item: Globus would refuse its path, or take it for another path.
func (e *ForEach) Item(name string, modified time.Time, size int64) (Item, error) {
	item := Item{Name: name, Path: e.Folder + name, Time: modified, Size: size}
	if name == "." || item.Path+"/" == homeFolder {
		return Item{}, fmt.Errorf("path %q is that of another folder", item.Path)
	}
	if err := checkPath(item.Path); err != nil {
		return Item{}, err
	}
	if hasWildcard(item.Path) {
		return Item{}, fmt.Errorf("path %q has a wildcard, which Globus would take literally here and for a pattern elsewhere; rename it, or let a job without for_each copy the whole folder %s",
			short(item.Path), short(e.Folder))
	}
	item.Groups, _ = e.Match.Name(name)
	return item, nil
}

// Sample returns an item with which the templates of the job can be tried.
func (e *ForEach) Sample() *Item {
	item := &Item{Name: sampleItem, Path: e.Folder + sampleItem, Time: sampleTime(), Size: 1}
	for _, group := range e.Match.Groups() {
		if item.Groups == nil {
			item.Groups = map[string]string{}
		}
		item.Groups[group] = "sample-" + group
	}
	return item
}

// SampleItem returns an item with which the templates of the job can be tried, or
// nil if they know none.
func (j *Job) SampleItem() *Item {
	if j.Items == nil {
		return nil
	}
	return j.Items.Sample()
}

const sampleItem = "sample-item"
