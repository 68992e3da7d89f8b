package globussim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Direction is in which transfers use a collection, as its document says it.
type Direction string

// The directions; empty is none.
const (
	Inbound  Direction = "inbound" // it is the destination
	Outbound Direction = "outbound"
	AllWays  Direction = "all"
)

// has reports whether a policy for d is one for the direction of a transfer.
func (d Direction) has(way Direction) bool { return d == way || d == AllWays }

// Policies are what a collection demands of the transfers that use it. How the
// service answers one that does not meet them is not confirmed: see
// [Answers].RefusePolicies and [Answers].PolicyCode.
type Policies struct {
	ForceVerify   bool // checksums must be compared
	DisableVerify bool // they cannot be
	// KeepTimes are the transfers that must preserve the times of files.
	KeepTimes Direction
	// AssuredOnly are the transfers whose other end must be high assurance.
	AssuredOnly Direction
	// FlowIn and FlowOut are the flows that alone may transfer to and from the
	// collection, by their ids; empty lets everybody.
	FlowIn, FlowOut string
	// NoAnonymousWrites forbids access rules that let everybody write.
	NoAnonymousWrites bool
}

func (p Policies) check() error {
	for _, d := range []Direction{p.KeepTimes, p.AssuredOnly} {
		if !slices.Contains([]Direction{"", Inbound, Outbound, AllWays}, d) {
			return fmt.Errorf("direction %q is none of inbound, outbound, all", d)
		}
	}
	return nil
}

// document is how the policies stand in the document of a collection.
func (p Policies) document() map[string]any {
	doc := map[string]any{
		"force_verify": p.ForceVerify, "disable_verify": p.DisableVerify, "disable_anonymous_writes": p.NoAnonymousWrites,
		"preserve_modtime": optional(string(p.KeepTimes)), "restrict_transfers_to_high_assurance": optional(string(p.AssuredOnly)),
		"associated_flow_policy": nil,
	}
	ends := map[string]any{}
	for end, flow := range map[string]string{"source": p.FlowOut, "destination": p.FlowIn} {
		if flow != "" {
			ends[end] = map[string]any{"flow": flow}
		}
	}
	if len(ends) > 0 {
		doc["associated_flow_policy"] = map[string]any{"transfer": ends}
	}
	return doc
}

// policies returns the policies of a collection, some of which its administrators
// can change.
func (p *collection) policies() Policies {
	policies := p.Policies
	for field, to := range map[string]*bool{"force_verify": &policies.ForceVerify, "disable_verify": &policies.DisableVerify} {
		if changed, ok := p.changes()[field].(bool); ok {
			*to = changed
		}
	}
	return policies
}

// againstPolicy refuses what a policy of a collection does not allow.
func (s *Server) againstPolicy(p *collection, what string) *apiError {
	return &apiError{
		Status: http.StatusForbidden, Code: s.answers.Load().PolicyCode,
		Message: "The collection " + p.Name + " does not allow " + what,
	}
}

// comply refuses a transfer that the policies of its collections do not allow, and otherwise
// sets the options that they demand.
func (sv *service) comply(q *request, doc *submission, src, dst *collection) *apiError {
	for _, end := range []struct {
		*collection
		way   Direction
		flow  string // that alone may transfer
		other *collection
	}{
		{src, Outbound, src.policies().FlowOut, dst},
		{dst, Inbound, dst.policies().FlowIn, src},
	} {
		policies := end.policies()
		refuse := func(what string) *apiError { return sv.server.againstPolicy(end.collection, what) }
		switch {
		case end.flow != "" && q.via != flowScope(end.flow):
			return refuse("this transfer, which must be started by the flow " + end.flow)
		case policies.AssuredOnly.has(end.way) && !end.other.HighAssurance:
			return refuse("transfers with " + end.other.Name + ", which is not high assurance")
		}
		if e := sv.adjust(doc, policies, end.way, refuse); e != nil {
			return e
		}
	}
	return nil
}

// adjust changes a transfer so that the policies of a collection allow it, or refuses it.
func (sv *service) adjust(doc *submission, policies Policies, way Direction, refuse func(string) *apiError) *apiError {
	for _, demand := range []struct {
		applies bool
		field   *bool
		value   bool
		without string
	}{
		{policies.ForceVerify, &doc.VerifyChecksum, true, "transfers without verify_checksum"},
		{policies.DisableVerify, &doc.VerifyChecksum, false, "transfers with verify_checksum"},
		{policies.KeepTimes.has(way), &doc.PreserveTimestamp, true, "transfers without preserve_timestamp"},
	} {
		switch {
		case !demand.applies || *demand.field == demand.value:
		case sv.server.answers.Load().RefusePolicies:
			return refuse(demand.without)
		default:
			*demand.field = demand.value
		}
	}
	return nil
}

// allowedForAll refuses an access rule that lets everybody write where a policy
// forbids that.
func (sv *service) allowedForAll(p *collection, rule AccessRule) *apiError {
	if p.policies().NoAnonymousWrites && rule.kind() == anonymous && strings.Contains(rule.Permissions, "w") {
		return sv.server.againstPolicy(p, "access rules that let everybody write")
	}
	return nil
}
