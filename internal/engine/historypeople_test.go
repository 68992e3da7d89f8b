package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/globus-runner/globus-runner/globussim"
	"github.com/globus-runner/globus-runner/internal/audit"
	"github.com/globus-runner/globus-runner/jobs"
	"github.com/globus-runner/globus-runner/transfer"
)

// state is how a file is told from others of its name: by size and time.
func state(name string, size int64, at time.Time) string { return fmt.Sprint(name, size, at.Unix()) }

// write writes new content below a folder of a collection. The time is now, by the
// clock of the collection; or as it was if no content of that size had it: who
// forges both deceives a prune.
func (h *history) write(collection, folder, name string) {
	file := filepath.Join(h.disk(collection), folder, name)
	size := 6 + h.rand.IntN(2)
	if h.kind == ofNights {
		size = 6
	}
	if away, err := os.Stat(h.away(folder, name)); err == nil { // who moves it back then replaces one of another size
		size = 13 - int(away.Size())
	}
	content := h.fresh(size)
	at := time.Now().Add(h.ahead[collection])
	whole := folder + "/" + name
	if old, err := os.Stat(file); err == nil {
		h.had[state(whole, old.Size(), old.ModTime())] = true
		if h.rand.IntN(3) == 0 && !h.had[state(whole, int64(len(content)), old.ModTime())] {
			at = old.ModTime()
			h.meets(true, "a new file with the time of the old one")
		}
	} else if h.kind == ofNights && folder != "all" && h.rand.IntN(3) > 0 {
		at = h.timeOfAnother(whole, name, len(content), at)
	}
	h.had[state(whole, int64(len(content)), at)] = true
	h.spoils(file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644), os.Chtimes(file, at, at)); err != nil {
		h.t.Fatal(err)
	}
	h.note("somebody writes %s: %s, time %s", file[len(h.lab)-1:], content, at.Format("15:04:05"))
}

// namesakes is what a history meets if its nights have files that only their contents
// tell apart.
const namesakes = "two files of one name, size and time"

// timeOfAnother is the time of a file of this name and size in another night, if there
// is one and this one never had its time: two instruments write in one second.
func (h *history) timeOfAnother(whole, name string, size int, otherwise time.Time) time.Time {
	others, _ := filepath.Glob(filepath.Join(h.lab, "data", "*", name)) // the pattern is right
	for _, other := range others {
		if info, err := os.Stat(other); err == nil && int(info.Size()) == size && !h.had[state(whole, int64(size), info.ModTime())] {
			h.meets(true, namesakes)
			return info.ModTime()
		}
	}
	return otherwise
}

// fresh is a content that was never there.
func (h *history) fresh(size int) string {
	h.contents++
	return fmt.Sprintf("%0*d", size, h.contents)
}

// outside is what people do.
func (h *history) outside() {
	if h.copying && h.met[namesakes] {
		return // a task that fails has copied files of which no receipt tells
	}
	name, folder := historyNames[h.rand.IntN(len(historyNames))], h.data()
	switch h.rand.IntN(8) {
	case 0, 1, 2:
		h.meets(h.copying, "a file that changes while it is copied")
		h.touched[name] = true
		h.write("lab", folder, name)
	case 3:
		h.spoils(filepath.Join(h.lab, folder, name))
		if os.Remove(filepath.Join(h.lab, folder, name)) == nil {
			h.note("somebody deletes %s of %s", name, folder)
			h.removed++
		}
	case 4, 5:
		h.touched[name] = true
		h.move(folder, name)
	default:
		h.meddle(name)
	}
}

// away is where a file is while it is not there.
func (h *history) away(folder, name string) string {
	return filepath.Join(h.lab, "away", folder, filepath.Base(name))
}

// move puts a file away for a while, or back.
func (h *history) move(folder, name string) {
	here, away := filepath.Join(h.lab, folder, name), h.away(folder, name)
	_, err := os.Stat(here)
	if err == nil {
		here, away = away, here
	}
	h.spoils(here)
	if os.MkdirAll(filepath.Dir(here), 0o755) == nil && os.Rename(away, here) == nil {
		h.note("somebody moves %s, away: %t", name, err == nil)
		h.meets(err != nil, "a file that is away for a while")
		if err == nil {
			h.removed++
		}
	}
}

// meddle changes or deletes a copy. While a task copies, and until its receipt is
// sealed, nobody does.
func (h *history) meddle(name string) {
	places := []string{"vault", "store"}
	if h.twin {
		places = append(places, "twin")
	}
	collection := places[h.rand.IntN(len(places))]
	if h.copying || time.Since(h.settled) < 2*time.Second {
		return
	}
	folder := h.copies()
	copied := filepath.Join(h.disk(collection), folder, name)
	if _, err := os.Stat(copied); err != nil {
		return
	}
	if h.rand.IntN(2) == 0 {
		h.meets(true, "a copy that others change")
		h.write(collection, folder, name)
		return
	}
	h.meets(true, "a copy that others delete")
	h.spoils(copied)
	h.note("somebody deletes the copy of %s at %s", name, collection)
	_ = os.Remove(copied) // it was there
}

// A death says at which request a process dies, and whether that takes effect.
type death struct {
	in    int  // requests; 0 is never
	list  bool // or when a list is sent
	after bool
}

// answer lets the world go on at each request of a process.
func (h *history) answer(p *process, d death) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, send http.RoundTripper) (*http.Response, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if p.dead.Load() {
			return nil, errKilled
		}
		if h.rand.IntN(12) == 0 && r.Method == http.MethodGet {
			h.outside()
		}
		if d.list && is(r, "POST", deletePath) {
			d.in = 1
		}
		if d.in--; d.in == 0 && !d.after {
			h.dies(p, "before", r)
			return nil, errKilled
		}
		resp, err := h.pass(p, r, send)
		if d.in == 0 {
			h.dies(p, "after", r)
			if resp != nil {
				_ = resp.Body.Close() // nobody reads it
			}
			return nil, errKilled
		}
		if err == nil && isListing(r) && h.old > 0 && h.rand.IntN(3) == 0 {
			h.late()
		}
		return resp, err
	}
}

// late lets some time pass before a listing arrives.
func (h *history) late() {
	h.meets(true, "a listing that is old")
	age := time.Duration(h.rand.Int64N(int64(h.old)))
	h.mu.Unlock()
	time.Sleep(age)
	h.mu.Lock()
	if h.rand.IntN(2) == 0 {
		h.outside()
	}
}

func (h *history) dies(p *process, when string, r *http.Request) {
	h.note("the process dies %s %s %s", when, r.Method, r.URL.Path)
	h.meets(h.copying, "a crash while a task copies")
	h.meets(len(h.sent) > 0, "a crash between two lists or in one")
	p.die()
}

func isListing(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/ls") || strings.HasSuffix(r.URL.Path, "/stat")
}

// pass sends a request on, and takes note of what it shows or does.
func (h *history) pass(p *process, r *http.Request, send http.RoundTripper) (*http.Response, error) {
	switch {
	case is(r, "GET", idPath):
		h.looks = map[string]string{}
		h.settle()
	case is(r, "POST", transferPath):
		h.note("a transfer is sent")
		if !h.copying {
			h.began = time.Now()
		}
		h.copying = true
	case is(r, "POST", deletePath):
		trial := h.trial
		h.check(p, r)
		switch h.rand.IntN(10) {
		case 0:
			h.note("it does not arrive")
			h.meets(true, "a list that does not arrive")
			return nil, io.ErrUnexpectedEOF
		case 1:
			h.note("it is refused for now")
			h.meets(true, "a list that is refused for now")
			h.trial = trial
			h.Fail(globussim.Fault{Path: deletePath, Status: 409, Code: []string{"ClientError.Conflict.TooManyPendingJobs", "ClientError.Conflict"}[h.rand.IntN(2)]})
		}
	case strings.HasSuffix(r.URL.Path, "/mkdir") && h.rand.IntN(5) == 0:
		h.note("no folder can be made")
		h.meets(true, "a folder that cannot be made")
		h.unprobed = true
		h.Fail(globussim.Fault{Path: r.URL.Path, Status: 403, Code: "EndpointPermissionDenied"})
	case is(r, "GET", listPath) && time.Since(h.settled) < h.lag:
		blind := &process{}
		blind.forgetful()
		if resp, err := blind.answer(r, send); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := send.RoundTrip(r)
	switch {
	case err != nil:
	case isListing(r):
		h.look(r)
	case is(r, "GET", taskPath) || is(r, "GET", listPath):
		err = h.readTasks(r, resp)
	}
	return resp, err
}

// instants are the times of task documents.
var instants = regexp.MustCompile(`"(?:request_time|completion_time)": ?"([^"]+)"`)

// readTasks reads what a reply says of tasks, and gives it the clock of Globus.
func (h *history) readTasks(r *http.Request, resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/successful_transfers"):
		h.breaks(path.Base(path.Dir(r.URL.Path)), body)
	case strings.HasSuffix(r.URL.Path, "/skipped_errors"):
		h.meets(bytes.Contains(body, []byte(`"error_code"`)), "a file that is skipped")
	case h.globus != 0:
		body = instants.ReplaceAllFunc(body, func(found []byte) []byte {
			was := instants.FindSubmatch(found)[1]
			at, err := time.Parse(time.RFC3339, string(was))
			if err != nil {
				h.fail("%s is not a time", found)
			}
			return bytes.Replace(found, was, at.Add(h.globus).AppendFormat(nil, time.RFC3339), 1)
		})
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return nil
}

// breaks breaks a copy that was not verified, and is in the list of copies of a task of
// the first step. Its size and time stay. One that a task of another step made is in another
// collection, under the same path.
func (h *history) breaks(task string, list []byte) {
	doc := h.job.Steps[0].Transfer
	ofFirst := slices.ContainsFunc(h.State().Tasks, func(t globussim.TaskState) bool {
		return t.TaskID == task && (len(h.job.Steps) == 1 || strings.Contains(t.Label, " s1"))
	})
	if doc == nil || !ofFirst || doc.VerifyChecksum || doc.PreserveTimestamp || h.rand.IntN(2) == 0 {
		return
	}
	name := historyNames[h.rand.IntN(len(historyNames))]
	folder := h.copies()
	file := filepath.Join(h.disk(doc.DestinationEndpoint), folder, name)
	info, err := os.Stat(file)
	if err != nil || !bytes.Contains(list, []byte(`"/`+folder+"/"+name+`"`)) {
		return
	}
	content := h.fresh(int(info.Size()))
	if err := errors.Join(os.WriteFile(file, []byte(content), 0o644), os.Chtimes(file, info.ModTime(), info.ModTime())); err != nil {
		h.t.Fatal(err)
	}
	h.meets(true, "a copy that is broken on the way")
	h.note("%s was broken on the way: %s", name, content)
}

// settle says that what was copied has its receipt now.
func (h *history) settle() {
	if !h.copying {
		return
	}
	h.copying, h.settled = false, time.Now()
	folders := []string{h.copies()}
	if h.kind == ofItems {
		folders = nil
		for n := range h.nights {
			folders = append(folders, fmt.Sprint("copy/", n+1))
		}
	}
	for _, folder := range folders {
		h.arrive(folder)
	}
}

// arrive takes note of what a folder of copies has.
func (h *history) arrive(folder string) {
	for _, collection := range []string{"vault", "store", "twin"} {
		for _, name := range historyNames {
			if content, err := os.ReadFile(filepath.Join(h.disk(collection), folder, name)); err == nil {
				if at := collection + ":" + string(content); h.arrived[at].IsZero() {
					h.arrived[at] = h.began
				}
				h.copied[collection+":/"+folder+"/"+name] = true
			}
		}
	}
}

// look takes note of what a listing shows: the content of files.
func (h *history) look(r *http.Request) {
	collection := strings.Split(r.URL.Path, "/")[4]
	path := r.URL.Query().Get("path")
	if strings.HasSuffix(r.URL.Path, "/stat") {
		content, err := os.ReadFile(filepath.Join(h.disk(collection), path))
		if err == nil {
			h.looks[collection+":"+path] = string(content)
		}
		return
	}
	entries, _ := os.ReadDir(filepath.Join(h.disk(collection), path)) // the answer says so
	for _, e := range entries {
		if content, err := os.ReadFile(filepath.Join(h.disk(collection), path, e.Name())); err == nil {
			h.looks[collection+":"+path+e.Name()] = string(content)
		}
	}
}

// check checks a delete. For each of its files the process must have looked at the
// source since it got the submission id, and at so many collections that had the
// same content then.
func (h *history) check(p *process, r *http.Request) {
	var doc transfer.Delete
	body, err := r.GetBody()
	if err == nil {
		err = json.NewDecoder(body).Decode(&doc)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if first, ok := h.lists[doc.SubmissionID]; !ok {
		h.lists[doc.SubmissionID] = sending{p, time.Now()}
	} else if first.by != p || time.Since(first.at) > time.Minute {
		h.fail("list %s is sent again", doc.SubmissionID)
	}
	step := h.job.Steps[len(h.job.Steps)-1].Prune
	for _, item := range doc.Items {
		if doc.Recursive {
			h.note("deleted: the folder %s", item.Path)
			if entries, _ := os.ReadDir(filepath.Join(h.disk(doc.Endpoint), item.Path)); len(entries) > 0 {
				h.fail("%s is deleted, and has %v in it", item.Path, entries)
			}
			continue
		}
		h.deleted++
		h.sent[item.Path] = true
		h.checkFile(step, &doc, item.Path)
	}
	if most := step.MaxDelete; most != "" && !doc.Recursive {
		left, there := h.left(), len(h.sent)+h.removed
		for _, path := range left {
			if !h.sent["/"+path] {
				there++
			}
		}
		if !most.Allows(int64(len(h.sent)), int64(there)) {
			h.fail("%d of %d files are deleted, more than max_delete %s", len(h.sent), there, most)
		}
	}
}

// checkFile checks the delete of a file.
func (h *history) checkFile(step *jobs.Prune, doc *transfer.Delete, path string) {
	content, looked := h.looks[doc.Endpoint+":"+path]
	h.pruned[h.disk(doc.Endpoint)+path] = content
	h.kept[content] = path
	h.note("deleted: %s, content %s", path, content)
	var itself bool // a copy is the file
	proven := map[string]bool{}
	for at, there := range h.looks {
		collection, copied, _ := strings.Cut(at, ":")
		same := h.disk(collection)+copied == h.disk(doc.Endpoint)+path
		if collection == doc.Endpoint || there != content {
			continue
		}
		itself = itself || same
		for _, name := range []string{"vault", "store", "twin"} {
			if collection == globussim.CollectionID(name) && !same && h.oldEnough(step, name, content) {
				proven[name] = true
			}
		}
	}
	switch need := max(1, step.Copies); {
	case looked && len(proven) >= need:
	case h.unprobed && looked && itself && len(doc.Items) == 1 && (h.trial == "" || h.trial == path): // a start may find out so
		if h.see(doc.Endpoint, path).there { // else somebody took it away since it was looked at
			h.trial = path
			h.meets(true, "a file that was its own copy, and is lost")
		}
	default:
		h.fail("%s with the content %q (looked at: %t) is deleted, and was seen and is old enough at %v, of %d", path, content, looked, proven, need)
	}
}

// oldEnough reports whether a copy may be as old as a prune wants. Globus says in whole
// seconds when a task was sent.
func (h *history) oldEnough(step *jobs.Prune, collection, content string) bool {
	arrived := h.arrived[collection+":"+content].Truncate(time.Second)
	return step.OlderThan == 0 || !arrived.IsZero() && time.Since(arrived) >= step.OlderThan-max(0, -h.globus)
}

// A seen file is what a disk has at a path.
type seen struct {
	content string
	at      int64 // seconds
	there   bool
}

func (h *history) see(collection, path string) seen {
	file := filepath.Join(h.disk(collection), path)
	content, err := os.ReadFile(file)
	info, infoErr := os.Stat(file)
	if err != nil || infoErr != nil {
		return seen{}
	}
	return seen{string(content), info.ModTime().Unix(), true}
}

// audit audits a job, while nothing else happens, and holds each verdict against
// the disks.
func (h *history) audit(job *jobs.Job) {
	h.meets(true, "an audit")
	if h.p == nil {
		h.p = h.process("audit")
	}
	collection := map[string]string{"weekly": "store", "mirror": "twin"}[job.Name]
	if collection == "" {
		collection = "vault"
	}
	inquiry, err := h.p.engine.Inquire(h.t.Context(), h.p.ledger, job, time.Now().Add(-time.Hour*24*30), time.Now(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	verdicts := map[string]audit.Verdict{}
	for f, err := range inquiry.Files(h.t.Context(), h.p.globus) {
		if err != nil {
			h.t.Fatal(err)
		}
		if was, twice := verdicts[f.Source]; twice {
			h.fail("%s is %s, and %s again", f.Source, was, f.Verdict)
		}
		verdicts[f.Source] = f.Verdict
		h.meets(true, "the verdict "+string(f.Verdict))
		source, copied := h.see("lab", f.Source), h.see(collection, f.Destination)
		if why := h.wrong(&f, source, copied, collection); why != "" {
			h.fail("audit of %s: %+v, but %s: the source has %v, the destination %v", job.Name, f, why, source, copied)
		}
	}
	for _, path := range h.left() {
		folder := "/" + filepath.Dir(path)
		if h.kind == ofFolder && verdicts["/"+path] == "" && verdicts[folder] != audit.Excluded {
			h.fail("audit of %s: nothing is said of %s", job.Name, path)
		}
	}
}

// wrong says why a verdict is not what the disks have.
func (h *history) wrong(f *audit.Finding, source, copied seen, collection string) string {
	equal := copied.there && source.content == copied.content
	same := equal && source.at == copied.at
	if f.Verdict == audit.Vanished {
		if _, err := os.Stat(h.disk("lab") + f.Source); err == nil {
			return "the folder is there"
		}
		return ""
	}
	if f.Verdict != audit.Excluded && !source.there {
		return h.wronglyPruned(f, copied)
	}
	switch f.Verdict {
	case audit.Delivered:
		if !equal {
			return "the destination does not have it"
		}
	case audit.Present:
		if !copied.there || len(copied.content) != len(source.content) {
			return "the destination has no file of this size"
		}
	case audit.Missing:
		if same {
			return "the destination has it"
		}
	case audit.Lost, audit.Changed:
		switch {
		case same:
			return "the destination has it"
		case !h.copied[collection+":"+f.Destination]:
			return "it was never copied"
		case f.Verdict == audit.Changed && !copied.there:
			return "the destination has nothing"
		}
	case audit.Excluded:
		name := filepath.Base(f.Source)
		if name != "b" && name != "d" && name != "e" {
			return "no rule excludes it"
		}
	default:
		return "that cannot be"
	}
	return ""
}

// wronglyPruned is wrong for a file that the source does not have.
func (h *history) wronglyPruned(f *audit.Finding, copied seen) string {
	content, pruned := h.pruned[h.disk("lab")+f.Source]
	switch {
	case f.Verdict == audit.Lost && strings.Contains(f.Why, "was replaced") && h.met["a job that does not verify"]:
		return "" // nobody can say what a copy has that was not verified
	case f.Verdict == audit.Lost && copied.there && copied.content == content:
		return "the copy has what was pruned"
	case !pruned && !h.met["a crash"]: // a list may have been recorded and not sent
		return "no prune has deleted it"
	case f.Verdict == audit.Pruned && !copied.there:
		return "its copy is gone"
	case f.Verdict == audit.Lost && copied.there && strings.HasSuffix(f.Why, "gone"): // else another job has copied it once more
		return "its copy is there"
	case f.Verdict != audit.Pruned && f.Verdict != audit.Lost:
		return "there is no such file"
	}
	return ""
}
