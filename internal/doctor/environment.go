package doctor

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/internal/settings"
	_ "github.com/clewtrace/clew/otelsetup/clientcert" // to show a certificate
	_ "github.com/clewtrace/clew/otelsetup/configfile" // to read a configuration file
)

const (
	protocolProtobuf = settings.ProtocolProtobuf
	protocolJSON     = settings.ProtocolJSON
	protocolGRPC     = settings.ProtocolGRPC

	signalTraces  = settings.SignalTraces
	signalMetrics = settings.SignalMetrics
	signalLogs    = settings.SignalLogs
)

// signals are in the order in which they are tested and shown.
var signals = []string{signalTraces, signalMetrics, signalLogs}

// environment is what the variables, or a configuration file, ask for.
type environment struct {
	settings settings.Settings
	sends    []send // in the order of signals
	resource *resource.Resource
}

// patience is the timeout in place of none: a test has to end.
const patience = 10 * time.Second

// send is how one signal is sent.
type send struct {
	settings.OTLP
	TLS      *tls.Config // of OTLP, ready to use
	protocol string
	env      *environment
}

// setting returns what is in effect for a variable.
func (e *environment) setting(name string) settings.Setting {
	for _, s := range e.settings.Effective {
		if s.Name == name {
			return s
		}
	}
	return settings.Setting{Name: name}
}

// variable names the variable to change for an option of a signal: the one that
// is set, or the general one.
func (s send) variable(option string) string {
	const prefix = "OTEL_EXPORTER_OTLP_"
	source := s.env.setting(prefix + strings.ToUpper(s.Signal) + "_" + option).Source
	if source == "" || source == settings.Default {
		return prefix + option
	}
	return source
}

// resolve reads the environment into r. It accepts every name that a package of
// this project adds, because the program that is asked about may import it; a note
// says which import a name needs.
func resolve(r *Result) *environment {
	settings.AcceptImports()
	read, problems := settings.Read(os.LookupEnv)
	env := &environment{settings: read}
	problems = append(problems, env.settings.NeedSpool(false)...)
	misspelt, unknown := env.settings.Misspelt(os.Environ())
	for _, p := range problems {
		r.problem(p.String(), cureOf(p.Name))
	}
	for _, p := range misspelt {
		r.problem(p.String(), "correct the name, or unset "+p.Name)
	}
	for _, name := range unknown {
		r.note(name + " is not a variable that otelsetup reads")
	}
	r.Settings = env.settings.Effective
	env.resource = sampleResource(read)
	for _, signal := range signals {
		for _, c := range env.otlp(signal) {
			s := send{*c, c.TLS.Config(), c.Protocol, env}
			if s.Timeout < 0 {
				s.Timeout = patience
			}
			env.sends = append(env.sends, s)
		}
	}
	env.remarks(r)
	return env
}

// otlp returns how a signal is sent, once for each exporter.
func (e *environment) otlp(signal string) []*settings.OTLP {
	var exports []settings.Export
	switch signal {
	case settings.SignalTraces:
		exports = e.settings.Spans
	case settings.SignalLogs:
		exports = e.settings.Logs
	case settings.SignalMetrics:
		for _, m := range e.settings.Metrics.Readers {
			exports = append(exports, m.Export)
		}
	}
	var all []*settings.OTLP
	for _, export := range exports {
		if export.OTLP != nil {
			all = append(all, export.OTLP)
		}
	}
	return all
}

// sampleResource has what a program's resource would have of the settings.
func sampleResource(s settings.Settings) *resource.Resource {
	attrs := slices.Clone(s.Attributes)
	if s.ServiceName == "" {
		attrs = append(attrs, semconv.ServiceName("unknown_service:clew"))
	}
	return resource.NewWithAttributes(semconv.SchemaURL, attrs...)
}

// cureOf says what to do about a value that cannot be used.
func cureOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_ENDPOINT"):
		return "set " + name + " to a whole URL such as http://localhost:4318, or unset it"
	case strings.HasSuffix(name, "_CERTIFICATE") || strings.HasSuffix(name, "_KEY"):
		return "give " + name + " the path of a PEM file that this user may read, or unset it"
	case name == "":
		return "correct what the message names, or unset the variable"
	default:
		return "change " + name + " to what the message accepts, or unset it"
	}
}

// remarks notes settings that are valid and may still surprise.
func (e *environment) remarks(r *Result) {
	if e.settings.Disabled {
		r.note("OTEL_SDK_DISABLED=true: nothing is recorded or sent, so nothing was tested; contexts are passed on")
		return
	}
	if name := e.serviceName(); strings.HasPrefix(name, "unknown_service") {
		r.note("OTEL_SERVICE_NAME is not set: the service will be called unknown_service: and the program's name")
	}
	if s := e.setting("OTEL_TRACES_SAMPLER"); strings.HasSuffix(s.Value, "always_off") {
		r.note("OTEL_TRACES_SAMPLER=" + s.Value + ": traces that begin here are not recorded")
	} else if arg := e.setting("OTEL_TRACES_SAMPLER_ARG"); arg.Value == "0" {
		r.note("OTEL_TRACES_SAMPLER_ARG=0: traces that begin here are not recorded")
	}
	for _, signal := range signals {
		variable := "OTEL_" + strings.ToUpper(signal) + "_EXPORTER"
		for exporter := range strings.SplitSeq(e.setting(variable).Value, ",") {
			switch exporter {
			case "otlp", "console", "":
			case "none":
				r.note(variable + "=none: " + signal + " are not exported")
			default:
				r.note(variable + ": " + exporter + " was not tested, only otlp is")
			}
		}
	}
	for _, needed := range e.imports() {
		r.note(needed)
	}
	for _, s := range e.sends {
		if len(s.Headers) > 0 && s.Endpoint.Scheme == "http" && !isLoopback(s.Endpoint.Hostname()) {
			r.note(fmt.Sprintf("%s: the headers of %s go to %s unencrypted", s.variable("HEADERS"), s.Signal, s.Endpoint.Host))
		}
	}
}

func (e *environment) serviceName() string {
	v, _ := e.resource.Set().Value("service.name")
	return v.AsString()
}

// imports says what a program must import to do what the variables ask for.
func (e *environment) imports() []string {
	var needed []string
	seen := map[string]bool{}
	add := func(variable, value, pkg string) {
		if pkg != "" && !seen[pkg] {
			seen[pkg] = true
			needed = append(needed, variable+"="+value+" needs the program to import "+pkg)
		}
	}
	if e.settings.ConfigFile != "" {
		add("OTEL_CONFIG_FILE", e.settings.ConfigFile, settings.ConfigFileImport)
	}
	for _, s := range e.settings.Effective {
		variable := s.Name
		if strings.HasSuffix(variable, "_PROTOCOL") {
			variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
		}
		if s.Value != settings.None && (strings.HasSuffix(s.Name, "_CLIENT_CERTIFICATE") || strings.HasSuffix(s.Name, ".cert_file")) {
			add(s.Name, s.Value, settings.ClientCertImport)
		}
		for value := range strings.SplitSeq(s.Value, ",") {
			add(variable, value, settings.Import(variable, value))
		}
	}
	return needed
}
