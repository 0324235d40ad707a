// The command program logs in the way that its argument names. With no argument
// it lists the ways.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	logger  = slog.With("k", "v w", "n", 1).WithGroup("g").With("b", true)
	first   = slog.Default()
	handler = slog.Default().Handler()
	printer = slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)
	counted = new(counter)
	counts  = slog.With("count", counted)
	writer  = log.Writer()
	flags   = log.Flags()
	waiting sync.WaitGroup
)

func chosen(name string) bool { return len(os.Args) > 1 && os.Args[1] == name }

func init() {
	switch {
	case chosen("init sets the default"):
		slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, withoutTime)))
	case chosen("init logs"):
		slog.Info("init")
		log.Print("init")
		logger.Info("init")
	case chosen("init sets flags"):
		log.SetFlags(log.Lshortfile)
		log.SetPrefix("init: ")
		log.SetOutput(os.Stdout)
	case chosen("init starts goroutines"):
		for range 20 {
			waiting.Go(func() {
				for range 50 {
					slog.Info("goroutine")
					slog.With("a", 1).Info("goroutine", "b", 2)
					log.Print("goroutine")
				}
			})
		}
	}
}

var withoutTime = &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

// counter is a value that says how often it was asked for.
type counter int

func (c *counter) LogValue() slog.Value { *c++; return slog.IntValue(int(*c)) }

type panicking struct{}

func (panicking) Error() string { panic("bad error") }

// wrapper is a handler around another.
type wrapper struct{ slog.Handler }

func (w wrapper) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Bool("wrapped", true))
	return w.Handler.Handle(ctx, r)
}
func (w wrapper) WithAttrs(a []slog.Attr) slog.Handler { return wrapper{w.Handler.WithAttrs(a)} }
func (w wrapper) WithGroup(name string) slog.Handler   { return wrapper{w.Handler.WithGroup(name)} }

// uncomparable is a writer that == panics for.
type uncomparable func([]byte) (int, error)

func (f uncomparable) Write(p []byte) (int, error) { return f(p) }

// all logs in each way.
func all() {
	slog.Debug("debug")
	slog.Info("m")
	slog.Warn("m n", "a", 1, "s", "x y", "e", errors.New("e"), slog.Group("h", "c", time.Second))
	slog.ErrorContext(context.TODO(), "m\nn\n")
	slog.Log(context.Background(), slog.LevelInfo+2, "")
	slog.LogAttrs(context.Background(), slog.LevelInfo, "attrs", slog.Any("nil", nil), slog.Attr{})
	slog.With("a", 1).WithGroup("h").With("b", 2).Info("with", "c", 3)
	logger.Debug("debug")
	logger.Info("package", "c", 3)
	logger.With("c", 3).WithGroup("h").Info("package", "d", 4)
	first.Info("first")
	log.Print("line")
	log.Print("INFO line k=v\n\n")
	log.Default().Println("method")
	log.Output(1, "output") //nolint:errcheck // as for all lines
	printer.Print("printer")
	slog.NewLogLogger(slog.Default().Handler(), slog.LevelInfo).Print("info printer")
	slog.NewLogLogger(logger.Handler(), slog.LevelError).Print("error printer")
	slog.NewLogLogger(handler, slog.LevelDebug).Print("debug printer")
}

func text(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, withoutTime)) }

var ways = map[string]func(){
	"nothing is set": all,
	"levels": func() {
		slog.SetLogLoggerLevel(slog.LevelDebug)
		all()
		slog.SetLogLoggerLevel(slog.LevelWarn)
		all()
		fmt.Println(slog.Default().Enabled(context.Background(), slog.LevelInfo), logger.Enabled(context.Background(), slog.LevelError))
	},
	"flags":              func() { log.SetFlags(0); all() },
	"short files":        func() { log.SetFlags(log.Lshortfile); all() },
	"long files":         func() { log.SetFlags(log.Llongfile | log.LUTC | log.Lmicroseconds); all() },
	"a prefix":           func() { log.SetPrefix("app: "); all(); log.SetFlags(log.Lmsgprefix); all() },
	"an output":          func() { log.SetOutput(os.Stdout); all() },
	"a discarded output": func() { log.SetOutput(io.Discard); all() },
	"an uncomparable output": func() {
		log.SetOutput(uncomparable(os.Stdout.Write))
		all()
	},
	"an output that fails": func() {
		log.SetOutput(uncomparable(func([]byte) (int, error) { return 0, errors.New("full") }))
		all()
		fmt.Println(slog.Default().Handler().Handle(context.Background(), slog.Record{}))
	},
	"what is there": func() {
		fmt.Printf("%T %T %T %v %v\n", slog.Default().Handler(), logger.Handler(), slog.With("a", 1).Handler(), writer == os.Stderr, flags)
		fmt.Println(log.Writer() == os.Stderr, log.Flags(), log.Prefix() == "", first == slog.Default(), handler == slog.Default().Handler())
	},
	"values are asked for once": func() {
		counts.Info("m", "own", counted)
		counts.With("again", counted).Info("m")
		counts.Debug("m", "own", counted)
	},
	"values that panic": func() {
		slog.Info("m", "e", panicking{})
		defer func() { fmt.Println("recovered", recover()) }()
		log.Panic("panic")
	},
	"a bad call":           func() { slog.Info("m", "a"); slog.Info("m", 1, 2); logger.Info("m", "b") },
	"a group with no name": func() { slog.New(slog.Default().Handler().WithGroup("")).Info("m", "a", 1) },
	"attributes of none":   func() { slog.New(handler.WithAttrs(nil)).Info("m", "a", 1) },
	"records": func() {
		_ = handler.Handle(context.Background(), slog.Record{})
		_ = logger.Handler().Handle(context.TODO(), slog.Record{Message: "m"})
	},
	"many goroutines": func() {
		for range 20 {
			waiting.Go(func() { slog.Info("m", "a", 1); log.Print("line"); logger.Warn("m") })
		}
	},
	"init sets the default":  all,
	"init logs":              all,
	"init sets flags":        all,
	"init starts goroutines": func() {},
	"fatal":                  func() { log.Fatal("fatal") },
	"a default of one's own": func() { slog.SetDefault(text(os.Stdout)); all() },
	"a default of one's own, with files": func() {
		log.SetFlags(log.Lshortfile)
		slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{AddSource: true, ReplaceAttr: withoutTime.ReplaceAttr})))
		all()
	},
	"a default of one's own, and log apart": func() {
		slog.SetDefault(text(os.Stdout))
		log.SetOutput(os.Stderr)
		log.SetFlags(log.Lshortfile)
		all()
	},
	"a default made of the default": func() { slog.SetDefault(slog.With("app", "x")); all() },
	"a default made of the default, flags before": func() {
		log.SetFlags(log.Lshortfile)
		slog.SetDefault(slog.With("app", "x"))
		all()
	},
	"a default made of the default, flags after": func() {
		slog.SetDefault(slog.With("app", "x").WithGroup("h"))
		log.SetFlags(0)
		all()
	},
	"a default made of the default, output after": func() {
		slog.SetDefault(slog.With("app", "x"))
		log.SetOutput(os.Stdout)
		log.Print("line")
		all()
	},
	"a default made of the default, lines first": func() { slog.SetDefault(slog.With("app", "x")); log.Print("line"); all() },
	"the default again":                          func() { slog.SetDefault(slog.Default()); all() },
	"the default again, lines first": func() {
		slog.SetDefault(slog.Default())
		log.Print("line")
		log.Print("INFO line")
		log.Default().Print("method")
		all()
	},
	"the default again, with a prefix": func() {
		log.SetPrefix("app: ")
		slog.SetDefault(slog.Default())
		log.Print("line")
		all()
	},
	"the default again, with files": func() {
		log.SetFlags(log.Lshortfile)
		slog.Info("m")
		slog.SetDefault(slog.Default())
		log.Print("line")
		log.Default().Print("method")
		log.Printf("%d", 1)
		all()
	},
	"the default again, a method first": func() {
		log.SetFlags(log.Lshortfile)
		slog.SetDefault(slog.Default())
		log.SetFlags(log.Lshortfile)
		log.Default().Print("method")
		log.SetFlags(log.Lshortfile)
		all()
	},
	"the default again, flags and output after": func() {
		slog.SetDefault(slog.Default())
		log.SetOutput(os.Stdout)
		log.SetFlags(log.Lshortfile)
		all()
	},
	"the default again, flags after": func() {
		slog.SetDefault(slog.Default())
		log.SetFlags(log.Lshortfile)
		log.Print("line")
		all()
	},
	"the default again, with another output": func() {
		log.SetOutput(os.Stdout)
		slog.Info("m")
		slog.SetDefault(slog.Default())
		all()
	},
	"a logger of the package as the default": func() { slog.SetDefault(logger); all() },
	"another default for a while, log put back": func() {
		old, w, f := slog.Default(), log.Writer(), log.Flags()
		slog.SetDefault(text(os.Stdout))
		all()
		slog.SetDefault(old)
		log.SetOutput(w)
		log.SetFlags(f)
		all()
	},
	"another default for a while, log put back first": func() {
		old, w, f := slog.Default(), log.Writer(), log.Flags()
		slog.SetDefault(text(os.Stdout))
		all()
		log.SetOutput(w)
		log.SetFlags(f)
		slog.SetDefault(old)
		all()
	},
	"a handler around the default as another logger": func() { slog.New(wrapper{slog.Default().Handler()}).With("a", 1).Info("m", "b", 2) },
	"a handler around the default as the default":    func() { slog.SetDefault(slog.New(wrapper{slog.Default().Handler()})); slog.Info("m") },
	"a handler around the default, lines":            func() { slog.SetDefault(slog.New(wrapper{slog.Default().Handler()})); log.Print("m") },
	"a handler around the default, log apart": func() {
		slog.SetDefault(slog.New(wrapper{slog.Default().Handler()}))
		log.SetOutput(os.Stdout)
		all()
	},
	"several handlers": func() {
		var b bytes.Buffer
		l := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&b, withoutTime), handler, logger.Handler()))
		l.With("a", 1).Info("m", "b", 2)
		fmt.Print(b.String())
	},
	// Those that differ.
	"another default for a while": func() {
		old := slog.Default()
		slog.SetDefault(text(os.Stdout))
		slog.SetDefault(old)
		slog.Info("record")
		log.Print("line")
	},
	"another default for a while, lines": func() {
		old := slog.Default()
		slog.SetDefault(text(os.Stdout))
		slog.SetDefault(old)
		log.Print("line")
		log.Default().Print("line")
	},
	"the default again, with flags that nothing was logged with": func() {
		log.SetFlags(0)
		slog.SetDefault(slog.Default())
		slog.Info("record")
	},
	"the default again, no flags after": func() {
		slog.SetDefault(slog.Default())
		log.SetFlags(0)
		slog.Info("record")
	},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Println(strings.Join(slices.Sorted(maps.Keys(ways)), "\n"))
		return
	}
	ways[os.Args[1]]()
	waiting.Wait()
}
