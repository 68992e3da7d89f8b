package jobs

import _ "embed" // the schema

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of a jobs file, for editors.
// [Parse] checks more than a schema can say.
func Schema() []byte { return schema }
