package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/globus-runner/globus-runner/transfer"
)

// A body reads the document that a timer submits.
type body struct {
	*importer
	where    string
	src, dst string // ids of the collections
	label    string
	items    [][]field // with paths as text
	options  []field
}

// body adds the transfer that a timer submits to a job, and returns its label.
func (im *importer) body(j *job, t *timer) (label string) {
	doc := object(t.Body)
	if doc == nil {
		doc = object(t.CallbackBody)
		if inner := object(doc["body"]); inner != nil {
			doc = inner
		}
	}
	b := body{importer: im, where: j.where}
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		if raw := doc[key]; string(raw) != "null" {
			b.key(key, raw)
		}
	}
	if doc["verify_checksum"] == nil || string(doc["verify_checksum"]) == "null" {
		b.options = append(b.options, field{"verify_checksum", false}) // the service's default
	}
	for _, end := range [][2]string{{"source_endpoint", b.src}, {"destination_endpoint", b.dst}} {
		if !uuidPattern().MatchString(end[1]) {
			im.problem(j.where, "%s: %q is not a collection id", end[0], short(end[1]))
		}
	}
	if len(b.items) == 0 {
		im.problem(j.where, "DATA: there is nothing to transfer")
		return b.label
	}
	fields := []field{{"items", b.items}}
	if len(b.items) == 1 {
		fields = slices.Clone(b.items[0])
	}
	j.steps = []field{{"transfer", locate(append(fields, b.options...), b.src, b.dst)}}
	return b.label
}

// locate adds the collections to the paths of items.
func locate(fields []field, src, dst string) []field {
	for i, f := range fields {
		switch v := f.value.(type) {
		case [][]field:
			for _, item := range v {
				if f.key == "items" {
					locate(item, src, dst)
				}
			}
		case string:
			switch f.key {
			case "source":
				fields[i].value = place{src, v}
			case "destination":
				fields[i].value = place{dst, v}
			}
		}
	}
	return fields
}

// object returns the members of a JSON object, or nil.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// key translates a key of the document that is not null, or refuses it.
func (b *body) key(key string, raw json.RawMessage) {
	switch key {
	case "DATA_TYPE", "skip_activation_check":
	case "source_endpoint", "source_endpoint_id":
		b.src = strings.ToLower(b.text(key, raw))
	case "destination_endpoint", "destination_endpoint_id":
		b.dst = strings.ToLower(b.text(key, raw))
	case "label":
		b.label = b.text(key, raw)
	case "DATA", "transfer_items":
		b.list(key, raw, b.item)
	case "filter_rules":
		rules := [][]field{}
		b.list(key, raw, func(at string, rule map[string]json.RawMessage) {
			rules = append(rules, b.rule(at, rule))
		})
		if len(rules) > 0 {
			b.options = append(b.options, field{key, rules})
		}
	case "sync_level":
		b.syncLevel(key, raw)
	case "verify_checksum":
		if !b.flag(key, raw) {
			b.options = append(b.options, field{key, false})
		}
	case "preserve_timestamp", "encrypt_data", "delete_destination_extra", "skip_source_errors", "fail_on_quota_errors",
		"notify_on_succeeded", "notify_on_failed", "notify_on_inactive", "store_base_path_info":
		if b.flag(key, raw) {
			b.options = append(b.options, field{key, true})
		}
	case "recursive_symlinks":
		if word := b.text(key, raw); word != "ignore" {
			b.options = append(b.options, field{key, word})
		}
	case "source_local_user", "destination_local_user":
		b.options = append(b.options, field{key, b.text(key, raw)})
	case "deadline":
		b.problem(b.where, "deadline: %s is one date, but a job runs many times", short(string(raw)))
	default:
		b.problem(b.where, "%s: a jobs file has no equivalent", short(key))
	}
}

// item translates one element of DATA.
func (b *body) item(at string, item map[string]json.RawMessage) {
	fields := []field{{"source", ""}, {"destination", ""}}
	for _, key := range slices.Sorted(maps.Keys(item)) {
		raw := item[key]
		switch {
		case string(raw) == "null":
		case key == "DATA_TYPE":
			if kind := b.text(at+key, raw); kind != "transfer_item" {
				b.problem(b.where, "%s%s: a jobs file has no equivalent of a %s", at, key, short(kind))
			}
		case key == "source_path":
			fields[0].value = literal(absolute(b.text(at+key, raw)))
		case key == "destination_path":
			fields[1].value = literal(absolute(b.text(at+key, raw)))
		case key == "recursive":
			fields = append(fields, field{key, b.flag(at+key, raw)})
		case key == "external_checksum", key == "checksum_algorithm":
			fields = append(fields, field{key, b.text(at+key, raw)})
		default:
			b.problem(b.where, "%s%s: a jobs file has no equivalent", at, short(key))
		}
	}
	if len(b.items) == maxTimerItems {
		b.problem(b.where, "DATA: it has more than %d items; put them into a manifest", maxTimerItems)
	}
	if len(b.items) <= maxTimerItems {
		b.items = append(b.items, fields)
	}
}

// maxTimerItems is how many items of a timer are written into the jobs file.
const maxTimerItems = 5000

// rule translates one filter rule.
func (b *body) rule(at string, rule map[string]json.RawMessage) []field {
	var fields []field
	for _, key := range slices.Sorted(maps.Keys(rule)) {
		raw := rule[key]
		switch {
		case string(raw) == "null", key == "DATA_TYPE":
		case key == "method", key == "type", key == "name":
			fields = append(fields, field{key, b.text(at+key, raw)})
		default:
			b.problem(b.where, "%s%s: a jobs file has no equivalent", at, short(key))
		}
	}
	return fields
}

// list calls f for each element of a list of objects; at is the prefix for the
// names of its keys.
func (b *body) list(key string, raw json.RawMessage, f func(at string, element map[string]json.RawMessage)) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		b.problem(b.where, "%s: it is not a list", key)
		return
	}
	for i, element := range list {
		doc := object(element)
		if doc == nil {
			b.problem(b.where, "%s[%d]: it is not an object", key, i)
			continue
		}
		f(fmt.Sprintf("%s[%d].", key, i), doc)
	}
}

func (b *body) syncLevel(key string, raw json.RawMessage) {
	level, err := transfer.ParseSyncLevel(strings.ToLower(strings.Trim(string(raw), `"`)))
	if err != nil {
		b.problem(b.where, "%s: %v", key, err)
		return
	}
	b.options = append(b.options, field{key, level.String()})
}

func (b *body) text(key string, raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		b.problem(b.where, "%s: %s is not a text", key, short(string(raw)))
	}
	return text
}

func (b *body) flag(key string, raw json.RawMessage) bool {
	var flag bool
	if json.Unmarshal(raw, &flag) != nil {
		b.problem(b.where, "%s: %s is neither true nor false", key, short(string(raw)))
	}
	return flag
}
