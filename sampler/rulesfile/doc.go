// Package rulesfile reads the rules of [sampler.Rules] from a YAML or JSON
// file and reads them again when the file changes.
//
//	rules:
//	  - name: GET /healthz*        # a pattern for the span name
//	    sample: never
//	  - kind: server               # internal, server, client, producer, consumer
//	    parent: [none, remote]     # one or several of none, local, remote
//	    attributes:
//	      http.route: /checkout    # a pattern for the value
//	    sample: always
//	  - name: "GET *"
//	    per_second: 5              # at most about 5 traces per second
//	  - sample: 0.1                # a share from 0 to 1
//
// All conditions of a rule must hold; a rule without conditions holds for
// every span. The first rule that matches decides, by either sample or
// per_second; a span that matches none is dropped. See [sampler.Match] for
// what patterns mean. Anchors, aliases and the merge key << mean what they do
// in YAML.
//
// This is a package of its own because it needs go.yaml.in/yaml, the maintained parser
// that reports the line of every value.
package rulesfile
