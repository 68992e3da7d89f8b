package transfer

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// An Endpoint is a collection, or a server that hosts collections. A field that
// the service has not set is its zero value.
type Endpoint struct {
	ID            string `json:"id"`
	DisplayName   string `json:"display_name"`
	CanonicalName string `json:"canonical_name"`
	EntityType    string `json:"entity_type"` // such as GCSv5_mapped_collection
	OwnerID       string `json:"owner_id"`
	OwnerString   string `json:"owner_string"`

	Description     string `json:"description"`
	Organization    string `json:"organization"`
	Department      string `json:"department"`
	Keywords        string `json:"keywords"` // joined by commas
	ContactEmail    string `json:"contact_email"`
	ContactInfo     string `json:"contact_info"`
	InfoLink        string `json:"info_link"`
	UserMessage     string `json:"user_message"`
	UserMessageLink string `json:"user_message_link"`

	Public           bool     `json:"public"`
	SubscriptionID   string   `json:"subscription_id"`
	DefaultDirectory string   `json:"default_directory"`
	MyEffectiveRoles []string `json:"my_effective_roles"`
	ACLAvailable     bool     `json:"acl_available"`
	ACLEditable      bool     `json:"acl_editable"`
	Shareable        bool     `json:"shareable"`
	InUse            bool     `json:"in_use"`

	HighAssurance             bool   `json:"high_assurance"`
	MFARequired               bool   `json:"mfa_required"`
	AuthenticationTimeoutMins *int64 `json:"authentication_timeout_mins"`
	AuthenticationPolicyID    string `json:"authentication_policy_id"`
	ForceEncryption           bool   `json:"force_encryption"`
	ForceVerify               bool   `json:"force_verify"`
	DisableVerify             bool   `json:"disable_verify"`
	DisableAnonymousWrites    bool   `json:"disable_anonymous_writes"`
	ACLMaxExpirationMins      *int64 `json:"acl_max_expiration_period_mins"` // longest life of an access rule; nil: any

	HostEndpointID              string `json:"host_endpoint_id"`
	HostEndpointDisplayName     string `json:"host_endpoint_display_name"`
	HostPath                    string `json:"host_path"`
	MappedCollectionID          string `json:"mapped_collection_id"`
	MappedCollectionDisplayName string `json:"mapped_collection_display_name"`

	NonFunctional   bool   `json:"non_functional"`
	IsGlobusConnect bool   `json:"is_globus_connect"`
	GCPConnected    *bool  `json:"gcp_connected"` // nil unless this is a personal endpoint; so is the next
	GCPPaused       *bool  `json:"gcp_paused"`
	GCSVersion      string `json:"gcs_version"`
	GCSManagerURL   string `json:"gcs_manager_url"`
	HTTPSServer     string `json:"https_server"`
	TLSFTPServer    string `json:"tlsftp_server"`

	NetworkUse           string `json:"network_use"`
	MaxConcurrency       *int64 `json:"max_concurrency"`
	PreferredConcurrency *int64 `json:"preferred_concurrency"`
	MaxParallelism       *int64 `json:"max_parallelism"`
	PreferredParallelism *int64 `json:"preferred_parallelism"`
	StorageType          string `json:"storage_type"`
	RequesterPays        bool   `json:"requester_pays"`

	Raw json.RawMessage `json:"-"` // the document as received
}

func (e *Endpoint) keep(doc json.RawMessage) { e.Raw = doc }
func (e *Endpoint) missing() string          { return require("id", e.ID) }

// IsGuest reports whether e is a guest collection. Only those have access rules.
func (e *Endpoint) IsGuest() bool { return strings.HasSuffix(e.EntityType, "_guest_collection") }

// NeedsDataAccess reports whether calls that touch the collection's files need
// a consent for its data_access scope. Such a scope does not exist for other
// collections.
func (e *Endpoint) NeedsDataAccess() bool {
	return e.EntityType == "GCSv5_mapped_collection" && !e.HighAssurance
}

// Endpoint returns the collection or endpoint id. It needs no consent. If there
// is none, the error is an [*Error] whose NotFound is true. API: GET
// /endpoint/<id>.
func (c *Client) Endpoint(ctx context.Context, id string) (*Endpoint, error) {
	return call[Endpoint](ctx, c, request{method: http.MethodGet, path: []string{"endpoint", id}})
}

// An EndpointQuery selects endpoints, which must meet all conditions that are
// set.
type EndpointQuery struct {
	Fulltext      string   // words, or their beginnings; required unless Scope names some endpoints
	Scope         string   // all (the default), my-endpoints, recently-used, shared-with-me, administered-by-me and others
	OwnerID       string   // an identity; not with Scope my-endpoints, my-gcp-endpoints and shared-by-me
	HostEndpoint  string   // guest collections of this one
	EntityType    string   // such as GCSv5_guest_collection
	NonFunctional *bool    // not with EntityType
	Fields        []string // the fields that the service fills in; none means all
	Limit         int      // endpoints in all; 0 means all that the service finds
}

const (
	maxEndpoints = 100  // rows in a page of endpoints
	maxFound     = 1000 // rows of one search, in all its pages
)

// SearchEndpoints lists endpoints and collections, the best match first, and at
// most 1000. API: GET /endpoint_search.
func (c *Client) SearchEndpoints(ctx context.Context, q EndpointQuery) iter.Seq2[*Endpoint, error] {
	query := url.Values{}
	setQuery(query, "filter_fulltext", q.Fulltext)
	setQuery(query, "filter_scope", q.Scope)
	setQuery(query, "filter_owner_id", q.OwnerID)
	setQuery(query, "filter_host_endpoint", q.HostEndpoint)
	setQuery(query, "filter_entity_type", q.EntityType)
	setQuery(query, "fields", strings.Join(q.Fields, ","))
	if q.NonFunctional != nil {
		query.Set("filter_non_functional", binary(*q.NonFunctional))
	}
	r := request{method: http.MethodGet, path: []string{"endpoint_search"}, query: query}
	return list[Endpoint](ctx, c, r, q.Limit, pagesOf(maxEndpoints, maxFound))
}
