package transfer

// A Delete is the document of a delete task: what to remove from one
// collection. A field left at its zero value is not sent, which asks for the
// service's default.
type Delete struct {
	Header

	// Endpoint is the id of the collection.
	Endpoint string `json:"endpoint"`
	// Recursive is needed to delete directories.
	Recursive bool `json:"recursive,omitempty"`
	// IgnoreMissing counts a missing path as deleted. Without it the task
	// fails at once.
	IgnoreMissing bool `json:"ignore_missing,omitempty"`
	// InterpretGlobs expands * ? [] in the last element of each path; a
	// backslash escapes them.
	InterpretGlobs bool `json:"interpret_globs,omitempty"`
	// LocalUser chooses among several local accounts that a mapped collection
	// has for the caller.
	LocalUser string `json:"local_user,omitempty"`
	// Items are the paths to delete, at least one.
	Items []DeleteItem `json:"DATA"`
}

// A DeleteItem is one file or directory to delete.
type DeleteItem struct {
	Path string `json:"path"`
}

// MarshalJSON returns the document as it is sent, with the DATA_TYPE of each
// part.
func (d Delete) MarshalJSON() ([]byte, error) {
	w, err := d.wire()
	if err != nil {
		return nil, err
	}
	return w.bytes()
}

func (d *Delete) wire() (*wire, error) {
	type plain Delete // without this method
	type item struct {
		DataType string `json:"DATA_TYPE"`
		DeleteItem
	}
	// The outer DATA hides that of plain.
	doc := struct {
		DataType string `json:"DATA_TYPE"`
		plain
		Items [0]struct{} `json:"DATA"`
	}{DataType: "delete", plain: plain(*d)}
	size := 0
	for _, it := range d.Items {
		size += len(it.Path)
	}
	return newWire(&doc, len(d.Items), size, func(i int) any { return item{"delete_item", d.Items[i]} })
}

func (*Delete) resource() string { return "delete" }
