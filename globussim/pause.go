package globussim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// A PauseRule stops what is done on a collection, as its managers can order.
// If none of the flags is set, it stops all tasks and none of the operations.
type PauseRule struct {
	Collection string `json:"endpoint_id"` // id
	Message    string `json:"message"`

	Ls      bool `json:"pause_ls"`
	Mkdir   bool `json:"pause_mkdir"`
	Symlink bool `json:"pause_symlink"`
	Rename  bool `json:"pause_rename"`
	Delete  bool `json:"pause_task_delete"`
	Read    bool `json:"pause_task_transfer_read"`  // transfers from it
	Write   bool `json:"pause_task_transfer_write"` // transfers to it
}

// A pause is a rule in force, as documents show it.
type pause struct {
	DataType string `json:"DATA_TYPE"`
	ID       string `json:"id"`
	PauseRule
	EndpointDisplayName string  `json:"endpoint_display_name"`
	IdentityID          *string `json:"identity_id"` // null: it holds for everybody
	StartTime           stamp   `json:"start_time"`
}

// Pause puts a rule in force and returns its id. The error is that there is no
// such collection.
func (s *Server) Pause(rule PauseRule) (id string, err error) {
	sv := s.transfer
	p, ok := sv.byID[strings.ToLower(rule.Collection)]
	if !ok {
		return "", fmt.Errorf("there is no collection %q", rule.Collection)
	}
	rule.Collection = p.ID
	if !rule.Ls && !rule.Mkdir && !rule.Symlink && !rule.Rename && !rule.Delete && !rule.Read && !rule.Write {
		rule.Delete, rule.Read, rule.Write = true, true, true
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	added := &pause{
		DataType: "pause_rule_limited", ID: uuid.NewString(), PauseRule: rule,
		EndpointDisplayName: p.Name, StartTime: stamp{s.now()},
	}
	sv.pauses = append(sv.pauses, added)
	sv.changedPauses()
	sv.holdAll()
	return added.ID, nil
}

// Resume takes back the rule with this id, or all rules of the collection with
// this id. It reports whether there was any.
func (s *Server) Resume(id string) bool {
	sv := s.transfer
	sv.mu.Lock()
	defer sv.mu.Unlock()
	before := len(sv.pauses)
	id = strings.ToLower(id)
	sv.pauses = slices.DeleteFunc(sv.pauses, func(p *pause) bool { return p.ID == id || p.Collection == id })
	sv.changedPauses()
	sv.holdAll()
	return len(sv.pauses) < before
}

func (sv *service) holdAll() {
	for _, t := range sv.submitted {
		sv.hold(t)
	}
}

// rulesFor returns the rules that stop a task.
func (sv *service) rulesFor(t *task) []*pause {
	var rules []*pause
	for _, p := range sv.pauses {
		src, dst := p.Collection == t.src.ID, p.Collection == t.dst.ID
		if t.doc.Type == kindDelete && p.Delete && src ||
			t.doc.Type == kindTransfer && (p.Read && src || p.Write && dst) {
			rules = append(rules, p)
		}
	}
	return rules
}

// paused refuses an operation that a rule stops.
func (sv *service) paused(p *collection, stops func(PauseRule) bool) *apiError {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	for _, rule := range sv.pauses {
		if rule.Collection == p.ID && stops(rule.PauseRule) {
			return &apiError{
				Status: sv.server.answers.Load().Paused, Code: "OperationPaused",
				Message: "The operation is paused on the collection " + p.Name + ": " + rule.Message,
			}
		}
	}
	return nil
}

// pauseInfo answers GET /task/<id>/pause_info.
func (sv *service) pauseInfo(q *request) (int, any, *apiError) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t, e := sv.visible(q)
	if e != nil {
		return 0, nil, e
	}
	doc := map[string]any{
		"DATA_TYPE": "pause_info_limited", "pause_rules": append([]*pause{}, sv.rulesFor(t)...),
		"source_pause_message": nil, "source_pause_message_share": nil,
		"destination_pause_message": nil, "destination_pause_message_share": nil,
	}
	if t.pausedBy != nil {
		doc["source_pause_message"] = t.pausedBy.Message
	}
	return http.StatusOK, doc, nil
}

// myPauseRules answers GET /endpoint/<id>/my_effective_pause_rule_list.
func (sv *service) myPauseRules(q *request) (int, any, *apiError) {
	p, e := sv.find(q.PathValue("id"))
	if e != nil {
		return 0, nil, e
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	rules := []*pause{}
	for _, rule := range sv.pauses {
		if rule.Collection == p.ID {
			rules = append(rules, rule)
		}
	}
	rules, e = paged(q, rules)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"DATA_TYPE": "pause_rule_list", "DATA": rules}, nil
}
