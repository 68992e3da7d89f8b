package globussim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the file plans of a Server may hold.
const (
	maxFileSteps = 20_000   // steps of all plans that are not done
	maxFileSize  = 1 << 30  // bytes that one step writes
	maxPlanSize  = 16 << 30 // bytes that the steps of a plan write
	maxPlanTime  = 366 * 24 * time.Hour
)

// A FilePlan says what happens to files of collections while they are served, as
// an instrument would do it that writes them. It is also a document of the
// control path, POST /_sim/files.
type FilePlan struct {
	Steps []FileStep `json:"steps"`
}

// A FileStep is one change of a [FilePlan]: exactly one of the pointers and paths
// is set. All paths are absolute in the collection. A collection that is offline
// or may not be written is changed as well, since the instrument stands beside it.
type FileStep struct {
	// At is when it happens, counted from the order. In JSON it is a text such
	// as "90s".
	At         time.Duration `json:"-"`
	Collection string        `json:"collection"` // name or id

	Write  *FileWrite  `json:"write,omitempty"`
	Rename *FileRename `json:"rename,omitempty"`
	Mkdir  string      `json:"mkdir,omitempty"`  // with the folders above it
	Touch  string      `json:"touch,omitempty"`  // sets the time of a file or folder to the present
	Remove string      `json:"remove,omitempty"` // a file, or a folder with all below it
}

// A FileWrite writes a file, and makes the folders above it.
type FileWrite struct {
	Path string `json:"path"`
	// Content is what is written. Without it, Size bytes are, which depend on
	// Path alone (see [FileContent]).
	Content string `json:"content,omitempty"`
	Size    int64  `json:"size,omitempty"` // bytes
	// Rate is how many bytes are written a second. 0 means all at once: then the
	// file appears complete.
	Rate   int64 `json:"rate,omitempty"`
	Append bool  `json:"append,omitempty"` // to what is there, instead of replacing it
}

// A FileRename renames a file or folder. A file that is being written grows on
// under its new name.
type FileRename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// FileContent returns what a [FileWrite] without Content writes to a path.
func FileContent(path string, size int64) []byte {
	sum := sha256.Sum256([]byte(path))
	line := []byte(hex.EncodeToString(sum[:]) + "\n")
	return bytes.Repeat(line, int(size)/len(line)+1)[:size]
}

// A FilePlanState says what has become of the steps of all file plans.
type FilePlanState struct {
	Pending int `json:"pending"` // steps that are still to come, or are at work
	Done    int `json:"done"`
	// Failed says why steps could not be done: the newest hundred.
	Failed []string `json:"failed,omitempty"`
}

// Files begins a plan, and returns at once. The error names a step that cannot
// be; then nothing is begun. What goes wrong later is in [Server.FileState].
// [Server.Close] ends all plans.
func (s *Server) Files(plan FilePlan) error {
	moves, err := s.transfer.planFiles(plan)
	if err != nil {
		return err
	}
	return s.transfer.files.begin(moves)
}

// FileState returns what has become of the file plans.
func (s *Server) FileState() FilePlanState { return s.transfer.files.snapshot() }

// StopFiles ends all file plans where they are, and forgets what became of them.
func (s *Server) StopFiles() { s.transfer.files.stop() }

// planFiles checks a plan, and returns its steps in the order of their times.
func (sv *service) planFiles(plan FilePlan) ([]*fileMove, error) {
	if len(plan.Steps) == 0 {
		return nil, errors.New("the plan has no steps")
	}
	if len(plan.Steps) > maxFileSteps {
		return nil, fmt.Errorf("the plan has %d steps, more than %d", len(plan.Steps), maxFileSteps)
	}
	var total int64
	moves := make([]*fileMove, len(plan.Steps))
	for i := range plan.Steps {
		m, err := sv.planFile(plan.Steps[i])
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		if moves[i] = m; m.Write != nil {
			total += m.Write.Size
		}
	}
	if total > maxPlanSize {
		return nil, fmt.Errorf("the plan writes %d bytes, more than %d", total, int64(maxPlanSize))
	}
	slices.SortStableFunc(moves, func(a, b *fileMove) int { return cmp.Compare(a.At, b.At) })
	return moves, nil
}

func (sv *service) planFile(step FileStep) (*fileMove, error) {
	m := &fileMove{FileStep: step}
	for _, p := range sv.collections {
		if p.Name == step.Collection || p.ID == strings.ToLower(step.Collection) {
			m.collection = p
		}
	}
	switch {
	case m.collection == nil:
		return nil, fmt.Errorf("there is no collection %q", step.Collection)
	case step.At < 0 || step.At > maxPlanTime:
		return nil, fmt.Errorf("at: %v is not between 0s and %v", step.At, maxPlanTime)
	}
	var err error
	given := 0
	for _, one := range []struct{ kind, path string }{{"mkdir", step.Mkdir}, {"touch", step.Touch}, {"remove", step.Remove}} {
		if one.path != "" {
			given++
			m.path, err = m.resolve(one.kind, one.path, err)
		}
	}
	if w := step.Write; w != nil {
		given++
		m.path, err = m.resolve("write", w.Path, err)
		m.Write, err = w.complete(err)
	}
	if r := step.Rename; r != nil {
		given++
		m.path, err = m.resolve("rename", r.From, err)
		m.to, err = m.resolve("rename", r.To, err)
	}
	if err == nil && given != 1 {
		err = fmt.Errorf("it has %d of write, rename, mkdir, touch and remove, and must have one", given)
	}
	return m, err
}

// resolve returns a path of a step as os.Root takes it, unless err says already
// what is wrong.
func (m *fileMove) resolve(kind, raw string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "/~/") {
		return "", fmt.Errorf("%s: the path %q is not absolute", kind, raw)
	}
	abs, e := m.collection.resolve(raw)
	switch {
	case e != nil:
		return "", fmt.Errorf("%s: %s", kind, e.Message)
	case abs == "/":
		return "", fmt.Errorf("%s: the top of a collection cannot be changed", kind)
	}
	return inRoot(abs), nil
}

// complete returns a checked copy with its size, unless err says already what is
// wrong.
func (w FileWrite) complete(err error) (*FileWrite, error) {
	switch {
	case err != nil:
	case w.Content != "" && w.Size != 0:
		err = errors.New("write: it has a content and a size")
	case w.Size < 0 || w.Rate < 0:
		err = errors.New("write: a size or a rate is negative")
	case w.Size > maxFileSize:
		err = fmt.Errorf("write: the size %d is more than %d", w.Size, maxFileSize)
	}
	if w.Content != "" {
		w.Size = int64(len(w.Content))
	}
	return &w, err
}

// A fileStepDocument is a FileStep as JSON carries it.
type fileStepDocument struct {
	FileStep
	At string `json:"at,omitempty"`
}

// parseFilePlan reads the document of POST /_sim/files.
func parseFilePlan(data []byte) (plan FilePlan, err error) {
	var doc struct {
		Steps []fileStepDocument `json:"steps"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return plan, err
	}
	for i, d := range doc.Steps {
		if err := parseDelay(d.At, &d.FileStep.At); err != nil {
			return plan, fmt.Errorf("step %d: at: %w", i+1, err)
		}
		plan.Steps = append(plan.Steps, d.FileStep)
	}
	return plan, nil
}
