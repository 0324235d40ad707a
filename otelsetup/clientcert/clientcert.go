// Package clientcert lets programs show a certificate of their own to the
// collector: the variables OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and
// OTEL_EXPORTER_OTLP_CLIENT_KEY, those of each signal, and cert_file and key_file
// in a configuration file. It is imported for that effect:
//
//	import _ "github.com/clewtrace/clew/otelsetup/clientcert"
//
// A program without it is smaller by what private keys take: 0.2 MB. The variables
// are a problem in its report then.
package clientcert

import (
	"crypto/tls"

	"github.com/clewtrace/clew/internal/settings"
)

func init() { settings.KeyPair = tls.LoadX509KeyPair }
