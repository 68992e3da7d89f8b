package shape_test

import (
	"fmt"

	"github.com/globus-runner/globus-runner/internal/shape"
)

// The schema of a document is made from the Go type that is printed.
func Example() {
	type document struct {
		Task  string `json:"task_id"`
		Files int    `json:"files,omitempty"`
	}
	schema, err := shape.Of("task", document{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(schema))
	// Output:
	// {
	//   "$schema": "https://json-schema.org/draft/2020-12/schema",
	//   "title": "task",
	//   "type": "object",
	//   "properties": {
	//     "files": {
	//       "type": "integer"
	//     },
	//     "task_id": {
	//       "type": "string"
	//     }
	//   },
	//   "required": [
	//     "task_id"
	//   ]
	// }
}
