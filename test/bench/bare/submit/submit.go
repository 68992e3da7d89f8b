// Command submit sends the requests of a runner that submits a transfer, with
// net/http alone: no retries, no checks, no options. What a runner takes beyond
// it is what the runner adds.
//
//	submit -label LABEL [-look-up] [-batch FILE] SOURCE_ID:PATH DEST_ID:PATH
//
// The service account and the addresses come from the environment of a runner.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "submit:", err)
		os.Exit(1)
	}
}

func run(args []string, getenv func(string) string) error {
	flags := flag.NewFlagSet("submit", flag.ContinueOnError)
	label := flags.String("label", "", "label of the task")
	lookUp := flags.Bool("look-up", false, "ask for a task with this label first")
	batch := flags.String("batch", "", "read the items from this file: two paths a line, to put behind those of the arguments")
	if err := flags.Parse(args); err != nil {
		return err
	}
	doc := transfer{
		DataType: "transfer", Label: *label, VerifyChecksum: true,
		Deadline: time.Now().UTC().Add(24 * time.Hour).Format("2006-01-02T15:04:05-07:00"),
	}
	var src, dst string
	doc.SourceEndpoint, src, _ = strings.Cut(flags.Arg(0), ":")
	doc.DestinationEndpoint, dst, _ = strings.Cut(flags.Arg(1), ":")
	doc.Items = []item{{DataType: "transfer_item", SourcePath: src, DestinationPath: dst}}
	if *batch != "" {
		var err error
		if doc.Items, err = readBatch(*batch, src, dst); err != nil {
			return err
		}
	}
	s := session{http: &http.Client{}, base: getenv("GLOBUS_SDK_SERVICE_URL_TRANSFER") + "v0.10/"}
	if err := s.logIn(getenv("GLOBUS_SDK_SERVICE_URL_AUTH"), getenv("CLIENT_ID"), getenv("CLIENT_SECRET")); err != nil {
		return err
	}
	if *lookUp {
		if err := s.lookUp(*label); err != nil {
			return err
		}
	}
	return s.submit(&doc)
}

type transfer struct {
	DataType            string `json:"DATA_TYPE"`
	SubmissionID        string `json:"submission_id"`
	Label               string `json:"label"`
	Deadline            string `json:"deadline"`
	NotifyOnSucceeded   bool   `json:"notify_on_succeeded"`
	NotifyOnFailed      bool   `json:"notify_on_failed"`
	NotifyOnInactive    bool   `json:"notify_on_inactive"`
	SourceEndpoint      string `json:"source_endpoint"`
	DestinationEndpoint string `json:"destination_endpoint"`
	VerifyChecksum      bool   `json:"verify_checksum"`
	Items               []item `json:"DATA"`
}

type item struct {
	DataType        string `json:"DATA_TYPE"`
	SourcePath      string `json:"source_path"`
	DestinationPath string `json:"destination_path"`
	Recursive       *bool  `json:"recursive,omitempty"`
}

// readBatch reads lines of two paths without quotes.
func readBatch(name, src, dst string) ([]item, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var items []item
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		from, to, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			return nil, fmt.Errorf("%s: %q: want two paths", name, lines.Text())
		}
		items = append(items, item{DataType: "transfer_item", SourcePath: src + from, DestinationPath: dst + to, Recursive: new(false)})
	}
	return items, lines.Err()
}

// A session sends requests to Transfer.
type session struct {
	http  *http.Client
	base  string
	token string
}

func (s *session) logIn(auth, id, secret string) error {
	form := url.Values{
		"grant_type": {"client_credentials"},
		"scope":      {"urn:globus:auth:scope:transfer.api.globus.org:all"},
	}
	r, err := http.NewRequest(http.MethodPost, auth+"v2/oauth2/token", strings.NewReader(form.Encode())) //nolint:noctx // nothing here ends early
	if err != nil {
		return err
	}
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var doc struct {
		AccessToken string `json:"access_token"`
	}
	if err := s.do(r, &doc); err != nil {
		return err
	}
	s.token = doc.AccessToken
	return nil
}

func (s *session) lookUp(label string) error {
	query := url.Values{"filter": {"type:TRANSFER,DELETE/label:=" + label}, "orderby": {"request_time DESC"}, "limit": {"1000"}}
	var list struct {
		Data []json.RawMessage `json:"DATA"`
	}
	if err := s.call(http.MethodGet, "task_list?"+query.Encode(), nil, &list); err != nil {
		return err
	}
	if len(list.Data) > 0 {
		return fmt.Errorf("there is a task with the label %q", label)
	}
	return nil
}

func (s *session) submit(doc *transfer) error {
	var id struct {
		Value string `json:"value"`
	}
	if err := s.call(http.MethodGet, "submission_id", nil, &id); err != nil {
		return err
	}
	doc.SubmissionID = id.Value
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	var result struct {
		TaskID string `json:"task_id"`
	}
	if err := s.call(http.MethodPost, "transfer", body, &result); err != nil {
		return err
	}
	if result.TaskID == "" {
		return errors.New("the answer names no task")
	}
	_, err = fmt.Println(result.TaskID)
	return err
}

// call sends a request to Transfer and decodes the answer into doc.
func (s *session) call(method, path string, body []byte, doc any) error {
	r, err := http.NewRequest(method, s.base+path, bytes.NewReader(body)) //nolint:noctx // nothing here ends early
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	return s.do(r, doc)
}

func (s *session) do(r *http.Request, doc any) error {
	reply, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer reply.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, reply.Status, body)
	}
	return json.Unmarshal(body, doc)
}
