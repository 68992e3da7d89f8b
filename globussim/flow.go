package globussim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A Flow is one that accounts can run. Its actions transfer and delete files;
// others fail.
type Flow struct {
	Title string // unique
	ID    string // UUID; empty means [FlowID] of Title
	// Definition is a state machine in JSON, of the states Action and Pass; nil
	// is one that transfers from the input's source to its destination, each with
	// id and path.
	Definition json.RawMessage
	// Starters are the identities that may run it; nil lets everybody.
	Starters []string

	machine machine
}

// transferDefinition is what a flow does that names nothing.
const transferDefinition = `{"StartAt": "Transfer", "States": {"Transfer": {
	"Type": "Action", "ActionUrl": "https://transfer.actions.globus.org/transfer",
	"Parameters": {
		"source_endpoint.$": "$.source.id", "destination_endpoint.$": "$.destination.id",
		"DATA": [{"source_path.$": "$.source.path", "destination_path.$": "$.destination.path"}]
	},
	"ResultPath": "$.TransferResult", "End": true
}}}`

// flowMade is when flows were made, the same in every process.
func flowMade() time.Time { return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) }

// FlowID returns the id that a flow gets from its title, the same in every
// simulator.
func FlowID(title string) string {
	return uuid.NewSHA1(collectionSpace, []byte("flow "+title)).String()
}

// A machine is the definition of a flow.
type machine struct {
	StartAt string
	States  map[string]state
}

// A state is one step of a machine.
type state struct {
	Type       string
	ActionURL  string `json:"ActionUrl"`
	Parameters map[string]any
	ResultPath string
	Next       string
	End        bool
}

func completeFlows(flows []Flow) (errs []error) {
	seen := make(map[string]bool)
	for i := range flows {
		f := &flows[i]
		if f.ID == "" {
			f.ID = FlowID(f.Title)
		}
		f.ID = strings.ToLower(f.ID)
		if f.Definition == nil {
			f.Definition = json.RawMessage(transferDefinition)
		}
		problem := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("flow %q: "+format, append([]any{f.Title}, args...)...))
		}
		switch {
		case f.Title == "":
			problem("it has no title")
		case uuid.Validate(f.ID) != nil:
			problem("the id %q is not a UUID", f.ID)
		case seen[f.Title] || seen[f.ID]:
			problem("it occurs twice")
		}
		if err := json.Unmarshal(f.Definition, &f.machine); err != nil {
			problem("definition: %w", err)
		} else if err := f.machine.check(); err != nil {
			problem("definition: %w", err)
		}
		seen[f.Title], seen[f.ID] = true, true
	}
	return errs
}

// check finds a state that leads nowhere.
func (m machine) check() error {
	if _, ok := m.States[m.StartAt]; !ok {
		return fmt.Errorf("StartAt %q is not a state", m.StartAt)
	}
	for name, s := range m.States {
		if _, ok := m.States[s.Next]; !ok && !s.End {
			return fmt.Errorf("the state %s neither ends nor leads to one", name)
		}
		if s.Type != "Action" && s.Type != "Pass" {
			return fmt.Errorf("the state %s is of the type %q, which is not simulated", name, s.Type)
		}
	}
	return nil
}

// fill returns the parameters of a state for an input: a key that ends in ".$"
// takes its value from there.
func fill(parameters, input any) (any, error) {
	switch p := parameters.(type) {
	case map[string]any:
		out := make(map[string]any)
		for key, value := range p {
			name, isPath := strings.CutSuffix(key, ".$")
			var err error
			if isPath {
				out[name], err = lookUp(value, input)
			} else {
				out[name], err = fill(value, input)
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(p))
		for i, value := range p {
			var err error
			if out[i], err = fill(value, input); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return parameters, nil
}

// lookUp returns what a path such as "$.source.id" leads to.
func lookUp(path, input any) (any, error) {
	text, ok := path.(string)
	if !ok || text != "$" && !strings.HasPrefix(text, "$.") {
		return nil, fmt.Errorf("%v is not a path such as $.a.b", path)
	}
	for key := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(text, "$"), "."), ".") {
		if key == "" {
			continue
		}
		object, _ := input.(map[string]any)
		if input, ok = object[key]; !ok {
			return nil, errors.New("the input has nothing at " + text)
		}
	}
	return input, nil
}
