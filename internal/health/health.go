// Package health asks a service whether it is healthy, for containers that hold
// nothing but the program.
package health

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Path is where a service answers with 200 as long as it can do its work.
const Path = "/healthz"

// Check asks the service at that URL.
func Check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+Path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %s", url, Path, resp.Status)
	}
	return nil
}

// Exit is the health check of a container: it calls Check and ends the program, with
// 0 or 1.
func Exit(url string) {
	if err := Check(context.Background(), url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
