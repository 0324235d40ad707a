// The race detector takes several times the memory and the time.

//go:build !race

package delivery_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// TestSpoolAtAnyPath: a path is not a pattern, whatever is in it.
func TestSpoolAtAnyPath(t *testing.T) {
	for _, name := range []string{
		"orders[1]", "[", "a*b", "what?", `back\slash`, "two  spaces ", "new\nline", "%d", "-flag", "~", "$HOME", "ünï", "\xff\xfe", "#", "a:b", "'\"", strings.Repeat("x", 255), "a/b[c]/*",
	} {
		t.Run(strconv.Quote(name[:min(len(name), 20)]), func(t *testing.T) {
			s := newStoppedSink(t)
			addr := s.Listener.Addr().String()
			_ = s.Listener.Close()
			dir := filepath.Join(t.TempDir(), name)
			for round := range 2 { // the second finds what the first left, and can keep more
				tr := newTransport(t, spooled(dir))
				if got := tr.Stats(delivery.Traces).Queued; got != int64(round) {
					t.Fatalf("start %d: %d spans are there", round, got)
				}
				postSpans(t, tr, "http://"+addr, round, 1)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err := tr.Shutdown(ctx)
				if st := tr.Stats(delivery.Traces); err == nil || st.Kept != int64(round+1) {
					t.Fatalf("Shutdown %d: %v, %+v", round, err, st)
				}
			}
		})
	}
}

// TestHostileSpoolDirectory starts a process on a spool directory in which
// everything lies that can lie there. It may use 2 s of CPU time and the queue's
// bound and 16 MiB of memory.
func TestHostileSpoolDirectory(t *testing.T) {
	if os.Getenv(spoolEnv) != "" {
		startOnSpool(os.Getenv(spoolEnv))
	}
	t.Parallel()
	seg := func(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%016x.seg", n)) }
	mark := []byte("clewsp1\n\x01\x02\x03\x04\x05\x06\x07\x08")
	for name, lay := range map[string]func(t *testing.T, dir string){
		"nothing": func(*testing.T, string) {},
		"pipe":    func(t *testing.T, dir string) { t.Helper(); must(t, syscall.Mkfifo(seg(dir, 1), 0o600)) },
		"endless": func(t *testing.T, dir string) { t.Helper(); must(t, os.Symlink("/dev/zero", seg(dir, 1))) },
		"sparse": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.WriteFile(seg(dir, 1), mark, 0o600))
			must(t, os.Truncate(seg(dir, 1), 3<<30))
		},
		"sparse, within the bound": func(t *testing.T, dir string) {
			t.Helper()
			for n := range 100 {
				must(t, os.WriteFile(seg(dir, n), mark, 0o600))
				must(t, os.Truncate(seg(dir, n), 30<<20))
			}
		},
		"directory": func(t *testing.T, dir string) { t.Helper(); must(t, os.Mkdir(seg(dir, 1), 0o700)) },
		"last number": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.WriteFile(filepath.Join(dir, "ffffffffffffffff.seg"), mark, 0o600))
		},
		"many files": func(t *testing.T, dir string) {
			t.Helper()
			for n := range 5000 {
				must(t, os.WriteFile(seg(dir, n), nil, 0o600))
			}
		},
		"records that begin everywhere": func(t *testing.T, dir string) {
			t.Helper()
			// Each claims all the rest, and its checksum is wrong.
			one := append(bytes.Clone(mark[8:]), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0)
			must(t, os.WriteFile(seg(dir, 1), append(bytes.Clone(mark), bytes.Repeat(one, (30<<20)/len(one))...), 0o600))
		},
		"more than the queue holds": func(t *testing.T, dir string) {
			t.Helper()
			cfg := spooled(dir)
			cfg.QueueSize, cfg.MinBackoff, cfg.MaxBackoff = 64<<20, time.Hour, time.Hour
			tr := newTransport(t, cfg)
			for range 60 {
				post(t, tr, delivery.Traces, "http://127.0.0.1:9", traceRequest(random(400<<10)))
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = tr.Shutdown(ctx) // leaves all of it
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700)) //nolint:gosec // a directory
			lay(t, dir)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHostileSpoolDirectory$") //nolint:gosec // this program
			cmd.Env = append(os.Environ(), spoolEnv+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var memory int64
			if _, err := fmt.Sscan(string(out), &memory); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			t.Logf("%.1f MiB, %v", float64(memory)/(1<<20), used)
			if memory > spoolQueue+16<<20 || used > 2*time.Second {
				t.Errorf("%d bytes for a queue of %d, and %v of CPU time", memory, spoolQueue, used)
			}
		})
	}
}

const (
	spoolEnv   = "CLEW_TEST_SPOOL"
	spoolQueue = 8 << 20
)

// startOnSpool prints by how much the start of a Transport has raised the peak
// of the process's memory, and ends the process.
func startOnSpool(dir string) {
	cfg := quick(new(handled))
	cfg.SpoolDir, cfg.QueueSize = dir, spoolQueue
	before := peakMemory()
	tr, err := delivery.New(cfg)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(peakMemory() - before)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = tr.Shutdown(ctx) // what is left stays
	os.Exit(0)
}

// peakMemory is the most that this process ever had in memory, as Linux counts.
func peakMemory() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kilobytes << 10
}

// random is a text that does not compress.
func random(n int) string {
	f, err := os.Open("/dev/urandom")
	if err != nil {
		panic(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	b := make([]byte, n/2)
	_, _ = f.Read(b)
	return hex.EncodeToString(b)
}

// TestHostileURLKeepsItsSecrets: what fails names neither credentials of the URL
// nor of a proxy that is no URL. That variable is read once for each process, so
// this is one of its own.
func TestHostileURLKeepsItsSecrets(t *testing.T) {
	const url = "http://user:s3cr3t@192.0.2.1/v1/traces?key=s3cr3t#s3cr3t" // a loopback address is never asked of a proxy
	if os.Getenv("CLEW_TEST_PROXY") != "" {
		var h handled
		tr, err := delivery.New(quick(&h))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = tr.Client(delivery.Traces).Post(url, "application/x-protobuf", bytes.NewReader(traceRequest("a"))) //nolint:noctx,bodyclose // it is empty
		for tr.Stats(delivery.Traces).Retried == 0 {
			runtime.Gosched()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		fmt.Println(tr.Shutdown(ctx), h.all(t, tr))
		return
	}
	for _, proxy := range []string{"http://user:s3cr3t@proxy:port", "http://user:s3cr3t\x7f@proxy", "://s3cr3t"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileURLKeepsItsSecrets$") //nolint:gosec // this program
		cmd.Env = append(os.Environ(), "CLEW_TEST_PROXY=1", "NO_PROXY=", "no_proxy=", "HTTP_PROXY="+proxy, "http_proxy="+proxy)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "s3cr3t") || !strings.Contains(string(out), "not delivered: http://192.0.2.1/v1/traces") {
			t.Errorf("%s: %v\n%s", proxy, err, out)
		}
	}
}

// TestSpoolLockThatIsALink: what it leads to is not written to.
func TestSpoolLockThatIsALink(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	must(t, os.WriteFile(precious, []byte("data"), 0o600))
	must(t, os.Symlink(precious, filepath.Join(dir, "lock")))
	if _, err := delivery.New(spooled(dir)); err == nil {
		t.Error("the spool was opened")
	}
	if b, err := os.ReadFile(precious); err != nil || string(b) != "data" {
		t.Errorf("the file that the link leads to holds %q, %v", b, err)
	}
}

// TestSpoolDirectoryOfOthers: a directory is made for this user alone, and one
// that others can write to is reported.
func TestSpoolDirectoryOfOthers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for mode, reported := range map[os.FileMode]bool{0: false, 0o700: false, 0o755: false, 0o777: true, 0o770: true, 0o1777: true} {
		dir := filepath.Join(t.TempDir(), "spool")
		if mode != 0 {
			must(t, syscall.Mkdir(dir, uint32(mode)))
		}
		var h handled
		cfg := quick(&h)
		cfg.SpoolDir = dir
		tr := newTransport(t, cfg)
		info, err := os.Stat(dir)
		must(t, err)
		if mode == 0 && info.Mode().Perm() != 0o700 {
			t.Errorf("made with mode %v", info.Mode())
		}
		told := h.all(t, tr)
		if got := len(told) == 1 && strings.Contains(told[0].Error(), "others than this user can write to "+dir); got != reported {
			t.Errorf("mode %o: told %v", mode, told)
		}
	}
}
