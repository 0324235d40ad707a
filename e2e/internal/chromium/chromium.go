// Package chromium drives a headless Chromium on behalf of a test.
package chromium

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// limit bounds each method of a [Page].
const limit = 30 * time.Second

// Page is a browser with one page, which ends with the test.
type Page struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

// Open starts a browser with a window of the given size. The test fails if the
// page reports an error: an exception, a line on the console, a refused request.
func Open(t *testing.T, width, height int64, dark bool) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test needs chromium: apt-get install chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("lang", "en-GB"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	p := &Page{t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		stop()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.errors {
			t.Errorf("the page reports %s", e)
		}
	})
	p.check("chromium does not start", chromedp.Listen(ctx, p.listen))
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	p.check("colour scheme", err)
	p.do("window", chromedp.EmulateViewport(width, height))
	return p
}

func (p *Page) listen(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = "an exception: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		var args []string
		for _, a := range e.Args {
			args = append(args, string(a.Value)+a.Description)
		}
		text = fmt.Sprintf("on the console (%s): %s", e.Type, strings.Join(args, " "))
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelError && e.Entry.Level != log.EntryLevelWarning {
			return
		}
		text = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = append(p.errors, text)
}

func (p *Page) check(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

func (p *Page) do(what string, action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	p.check(what, chromedp.Do(ctx, action))
}

// Go opens a page.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.do(url, chromedp.Navigate(url))
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
}

// Keys presses keys, one after the other. As with a keyboard, a key that the
// page has used types nothing; chromedp.KeyEvent would type it all the same.
func (p *Page) Keys(keys string) {
	p.t.Helper()
	for _, r := range keys {
		key, ok := kb.Keys[r]
		if !ok {
			p.t.Fatalf("no key for %q", r)
		}
		press := input.DispatchKeyEventParams{
			Type: "keyDown", Key: key.Key, Code: key.Code, Text: key.Text, UnmodifiedText: key.Unmodified,
			WindowsVirtualKeyCode: key.Windows, NativeVirtualKeyCode: key.Native,
		}
		if key.Shift {
			press.Modifiers = int64(chromedp.ModifierShift)
		}
		release := press
		release.Type, release.Text, release.UnmodifiedText = "keyUp", "", ""
		for _, params := range []input.DispatchKeyEventParams{press, release} {
			_, err := chromedp.Call(p.ctx, input.DispatchKeyEvent, params)
			p.check("key "+key.Key, err)
		}
	}
}

// AllowClipboard answers what the browser would ask its user when a page wants
// to use the clipboard.
func (p *Page) AllowClipboard(allow bool) {
	p.t.Helper()
	setting := map[bool]browser.PermissionSetting{true: browser.PermissionSettingGranted, false: browser.PermissionSettingDenied}[allow]
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: setting,
		})
		p.check(name, err)
	}
}

// Eval returns the value of a JavaScript expression, or of the promise that it is.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	p.check(expression, err)
	return v
}

// Until waits until the JavaScript expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(limit); !Eval[bool](p, "!!("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("after %v still not %s; the page shows\n%s", limit, expression, Eval[string](p, "location.href + '\\n' + document.body.innerText"))
		}
	}
}

// Screenshot writes what the window shows to a PNG file.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	p.check("screenshot", err)
	p.check("screenshot", os.WriteFile(path, png, 0o644)) //nolint:gosec // for the docs
}
