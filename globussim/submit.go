package globussim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// How long a task may take that names no deadline: until it makes progress,
// after the last progress of a transfer, and while it is paused.
const (
	defaultDeadline  = 24 * time.Hour
	extendedDeadline = 72 * time.Hour
	pausedDeadline   = 90 * 24 * time.Hour
)

// newSubmissionID answers GET /submission_id. The id is not recorded, because a client may as
// well make one itself.
func (sv *service) newSubmissionID(*request) (int, any, *apiError) {
	return http.StatusOK, map[string]string{"DATA_TYPE": "submission_id", "value": uuid.NewString()}, nil
}

func (sv *service) submitTransfer(q *request) (int, any, *apiError) {
	return sv.submit(q, kindTransfer, "transfer")
}

func (sv *service) submitDelete(q *request) (int, any, *apiError) {
	return sv.submit(q, kindDelete, "delete")
}

// submit accepts a document and makes a task of it. If the submission id was seen before, it
// answers with that task before it checks anything else, so that a client that repeats a
// request always gets its task.
func (sv *service) submit(q *request, kind, dataType string) (int, any, *apiError) {
	var doc submission
	if e := q.body(&doc); e != nil {
		return 0, nil, e
	}
	if e := doc.check(dataType); e != nil {
		return 0, nil, e
	}
	key := submissionKey{q.owner, strings.ToLower(doc.SubmissionID)}
	posted, e := q.posted()
	if e != nil {
		return 0, nil, e
	}
	digest := digestOf(posted)
	if first := sv.seen(key); first != nil {
		if first.digest != digest && sv.server.answers.Load().RefuseOtherDocument {
			return 0, nil, badRequest("the submission_id was used with another document")
		}
		return q.duplicate(first, dataType)
	}
	if !doc.deadline.IsZero() && !doc.deadline.After(time.Now()) && !sv.server.answers.Load().PastDeadline {
		return 0, nil, badRequest("deadline is in the past")
	}

	t, e := sv.newTask(q, kind, &doc)
	if e != nil {
		return 0, nil, e
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	t.digest = digest
	if first := sv.submissions[key]; first != nil { // posted twice at once
		first.submissions++
		first.changed()
		return q.duplicate(first, dataType)
	}
	if e := sv.accept(t, key); e != nil {
		return 0, nil, e
	}
	// Clients take any 2xx and look at the code.
	return sv.server.answers.Load().Accepted, q.accepted(t, dataType, "Accepted",
		"The "+dataType+" has been accepted and a task has been created and queued for execution"), nil
}

// digestOf returns a digest of a document that does not depend on its white space.
func digestOf(document []byte) [sha256.Size]byte {
	var buf bytes.Buffer
	if err := json.Compact(&buf, document); err != nil {
		return sha256.Sum256(document)
	}
	return sha256.Sum256(buf.Bytes())
}

// seen returns the task of a submission id, and counts the repetition.
func (sv *service) seen(key submissionKey) *task {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	first := sv.submissions[key]
	if first != nil {
		first.submissions++
		first.changed()
	}
	return first
}

func (q *request) duplicate(first *task, dataType string) (int, any, *apiError) {
	return http.StatusOK, q.accepted(first, dataType, "Duplicate",
		"A "+dataType+" with this submission id has been accepted before"), nil
}

func (q *request) accepted(t *task, dataType, code, message string) map[string]any {
	doc := q.result(dataType+"_result", code, message)
	doc["submission_id"] = t.submissionID
	doc["task_id"] = t.doc.TaskID
	doc["task_link"] = map[string]string{
		"DATA_TYPE": "link", "href": "task/" + t.doc.TaskID + "?format=json",
		"rel": "related", "resource": "task", "title": "related task",
	}
	return doc
}

// newTask checks the collections of a document and builds its task, without
// making it known.
func (sv *service) newTask(q *request, kind string, doc *submission) (*task, *apiError) {
	ids := []string{doc.SourceEndpoint, doc.DestinationEndpoint}
	if kind == kindDelete {
		ids = []string{doc.Endpoint}
	}
	var collections []*collection
	for _, id := range ids {
		p, e := sv.find(id)
		if e != nil {
			return nil, e
		}
		collections = append(collections, p)
	}
	distinct := collections
	if len(collections) == 2 && collections[0] == collections[1] {
		distinct = collections[:1]
	}
	if e := sv.admit(q, distinct...); e != nil {
		return nil, e
	}
	for _, p := range distinct {
		if p.condition().Offline {
			return nil, &apiError{
				Status: http.StatusConflict, Code: "GCDisconnectedException",
				Message: "The Globus Connect Personal collection " + p.Name + " is not connected",
			}
		}
	}

	if kind == kindTransfer {
		if e := sv.comply(q, doc, collections[0], collections[1]); e != nil {
			return nil, e
		}
	}

	t := sv.build(q.owner, kind, doc, collections)
	if e := t.resolve(doc); e != nil {
		return nil, e
	}
	sv.remembered(t, q)
	return t, nil
}

// build makes a new task of a document, without its items.
func (sv *service) build(owner, kind string, doc *submission, collections []*collection) *task {
	now := sv.server.now()
	t := &task{
		owner:        owner,
		submissionID: doc.SubmissionID,
		submissions:  1,
		over:         make(chan struct{}),
		spec:         doc,
		src:          collections[0],
		dst:          collections[len(collections)-1],
		ownDeadline:  doc.deadline.IsZero(),
		doc:          newTaskDoc(owner, kind, doc, collections, now),
	}
	if t.ownDeadline {
		t.doc.Deadline = stamp{now.Add(defaultDeadline)}
	}
	if kind == kindTransfer {
		t.paths = overlap{owner, doc.paths()}
	}
	return t
}

// resolve gives a task the items of its document, and takes them from there, since
// they may be many.
func (t *task) resolve(doc *submission) (e *apiError) {
	t.items = make([]item, len(doc.Items))
	for i := range doc.Items {
		if t.items[i], e = t.newItem(&doc.Items[i]); e != nil {
			return e
		}
	}
	doc.Items = nil
	return nil
}

// newItem resolves the paths of one item.
func (t *task) newItem(from *submissionItem) (it item, e *apiError) {
	it.rawSrc, it.rawDst = from.SourcePath, from.DestinationPath
	if t.doc.Type == kindDelete {
		it.rawSrc = from.Path
	} else if it.dst, e = t.dst.resolve(it.rawDst); e != nil {
		return item{}, e
	}
	if it.src, e = t.src.resolve(it.rawSrc); e != nil {
		return item{}, e
	}
	it.recursive = from.Recursive
	it.checksum, it.algorithm = strings.ToLower(from.ExternalChecksum), from.ChecksumAlgorithm
	return it, nil
}

// newTaskDoc is the task document of a submission that has just arrived.
func newTaskDoc(owner, kind string, doc *submission, collections []*collection, now time.Time) taskDoc {
	d := taskDoc{
		DataType: "task", TaskID: uuid.NewString(), Type: kind, Status: active,
		OwnerID: owner, Username: "u_" + strings.ReplaceAll(owner, "-", "")[:26],
		Command: "API 0.10", RequestTime: stamp{now}, Deadline: stamp{doc.deadline},
		SourceEndpointID: collections[0].ID, SourceEndpointDisplayName: collections[0].edited("display_name", collections[0].Name), SourceEndpoint: collections[0].canonical(),
		IsOK: new(true), NiceStatus: new("Queued"), NiceStatusShortDescription: new("Queued"), NiceStatusExpiresIn: new(-1),
	}
	if doc.Label != nil && *doc.Label != "" {
		d.Label = doc.Label
	}
	d.discover(len(doc.Items))
	if kind == kindDelete {
		d.SourceLocalUser = doc.LocalUser
		return d
	}
	dst := collections[1]
	d.DestinationEndpointID = &dst.ID
	d.DestinationEndpointDisplayName = new(dst.edited("display_name", dst.Name))
	d.DestinationEndpoint = new(dst.canonical())
	d.SyncLevel = doc.SyncLevel
	d.EncryptData = doc.EncryptData
	d.VerifyChecksum = doc.VerifyChecksum
	d.PreserveTimestamp = doc.PreserveTimestamp
	d.DeleteDestinationExtra = doc.DeleteDestinationExtra
	d.SkipSourceErrors = doc.SkipSourceErrors
	d.FailOnQuotaErrors = doc.FailOnQuotaErrors
	d.RecursiveSymlinks = new(cmp.Or(doc.RecursiveSymlinks, "ignore"))
	d.SourceLocalUser = doc.SourceLocalUser
	d.DestinationLocalUser = doc.DestinationLocalUser
	d.FilterRules = json.RawMessage("null")
	if len(doc.rules) > 0 {
		d.FilterRules = doc.FilterRules
	}
	if doc.StoreBasePathInfo {
		d.SourceBasePath = new(commonFolder(doc.Items, func(i submissionItem) string { return i.SourcePath }))
		d.DestinationBasePath = new(commonFolder(doc.Items, func(i submissionItem) string { return i.DestinationPath }))
	}
	return d
}

// commonFolder is the deepest folder that holds all paths.
func commonFolder(items []submissionItem, path func(submissionItem) string) string {
	common := path(items[0])
	for _, item := range items[1:] {
		p, n := path(item), 0
		for n < len(p) && n < len(common) && p[n] == common[n] {
			n++
		}
		common = common[:n]
	}
	return common[:strings.LastIndexByte(common, '/')+1]
}

// accept records a task, and starts it as soon as there is a free slot. The caller holds the
// lock.
func (sv *service) accept(t *task, key submissionKey) *apiError {
	if sv.closed {
		return &apiError{
			Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
			Message: "The service is shutting down",
		}
	}
	if sv.identical[t.paths] != nil {
		return &apiError{
			Status: http.StatusConflict, Code: "Conflict",
			Message: "A transfer with identical paths has not yet completed",
		}
	}
	if sv.pending[t.owner] >= sv.cfg.MaxPending {
		return &apiError{
			Status: http.StatusConflict, Code: "ClientError.Conflict.TooManyPendingJobs",
			Message: "You have too many pending tasks; wait until some of them are complete",
		}
	}
	if t.doc.Type == kindTransfer {
		sv.identical[t.paths] = t
	}
	sv.pending[t.owner]++
	sv.submissions[key] = t
	sv.tasks[t.doc.TaskID] = t
	sv.byOwner[t.owner] = append(sv.byOwner[t.owner], t)
	sv.submitted = append(sv.submitted, t)
	t.changed()

	t.stop = func() {}
	t.expiry = time.AfterFunc(time.Until(t.doc.Deadline.Time), func() { sv.expire(t) })
	if !t.doc.Deadline.After(sv.server.now()) {
		sv.finish(t, codeExpired, "The deadline passed")
		return nil
	}
	sv.obey(t)
	sv.hold(t)
	sv.enqueue(t)
	return nil
}
