package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clewtrace/clew/internal/view"
)

const (
	// The largest answer of clew view. Another server at its address cannot send more.
	maxAnswer = 256 << 20
	// clew view sends something on its stream of changes at least this often.
	streamSilence = time.Minute
	answerTimeout = 30 * time.Second
	// The number of failed spans whose messages are shown in a tree.
	maxMessages = 20
)

var errGone = errors.New("the trace is not there: it was not received, or made room for newer ones")

// A viewClient sends requests to a running clew view.
type viewClient struct {
	base   string
	client *http.Client
}

func newViewClient(base string) *viewClient {
	return &viewClient{base, &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
}

func (v *viewClient) close() { v.client.CloseIdleConnections() }

// get returns an answer with status 200.
func (v *viewClient) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no clew view answers: %w; start one by clew view, or say with -from where its page is", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound && strings.HasPrefix(path, "/api/traces/") {
		return nil, errGone
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // as much as could be read
	return nil, fmt.Errorf("%s answers %s: %s; -from is the address of the page of clew view", v.base, resp.Status, plain(strings.TrimSpace(string(text))))
}

func (v *viewClient) getJSON(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := v.get(ctx, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("%s is not the page of a clew view: %w", v.base, err)
	}
	return nil
}

// search returns the latest traces that a query selects, newest first.
func (v *viewClient) search(ctx context.Context, query string, limit int) ([]view.Summary, error) {
	var answer struct{ Traces []view.Summary }
	err := v.getJSON(ctx, fmt.Sprintf("/api/traces?q=%s&limit=%d", url.QueryEscape(query), limit), &answer)
	return answer.Traces, err
}

// wholeTrace is a trace with its lists, which the view writes separately.
type wholeTrace struct {
	view.Trace
	Names    []string          `json:"names"`
	Rows     []view.SpanRow    `json:"rows"`
	Messages map[string]string `json:"messages,omitempty"` // of failed spans, by their ids
}

func (v *viewClient) trace(ctx context.Context, id string) (t wholeTrace, err error) {
	err = v.getJSON(ctx, "/api/traces/"+url.PathEscape(id), &t)
	return t, err
}

// messages returns the messages of the first failed spans, by their ids.
func (v *viewClient) messages(ctx context.Context, t wholeTrace) map[string]string {
	messages := make(map[string]string)
	for _, row := range t.Rows {
		if !row.Error || len(messages) == maxMessages {
			continue
		}
		var span view.SpanDetail
		if v.getJSON(ctx, "/api/traces/"+url.PathEscape(t.ID)+"/spans/"+url.PathEscape(row.ID), &span) == nil {
			messages[row.ID] = span.StatusMessage
		}
	}
	return messages
}

// changes returns a channel that receives when the traces have changed. It is closed
// when the connection is gone or ctx has ended.
func (v *viewClient) changes(ctx context.Context) (<-chan struct{}, error) {
	ctx, cancel := context.WithCancel(ctx)
	silence := time.AfterFunc(streamSilence, cancel)
	resp, err := v.get(ctx, "/api/changes") //nolint:bodyclose // the goroutine below closes it
	if err != nil {
		cancel()
		silence.Stop()
		return nil, err
	}
	changes := make(chan struct{}, 1)
	go func() {
		defer close(changes)
		defer cancel()
		defer silence.Stop()
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			silence.Reset(streamSilence)
			select {
			case changes <- struct{}{}:
			default: // a change that was not read yet stands for both
			}
		}
	}()
	return changes, nil
}
