// Package clewhttp records server and client spans, and the HTTP metrics, of
// net/http:
//
//	http.ListenAndServe(":8080", clewhttp.Handler(mux))
//	client := &http.Client{Transport: clewhttp.Transport(nil)}
//
// It needs nothing but the OpenTelemetry API, and works over any SDK. Providers
// and propagator are the global ones at the time of each request, unless options
// say otherwise, so that they may be set later.
//
// What is recorded follows the Semantic Conventions 1.43.0, "HTTP spans" and
// "HTTP metrics". docs/http.md of this repository lists it attribute by
// attribute, with what differs from otelhttp and why, and what it costs.
//
// # Nothing changes
//
// A program that is traced does what it did before. Writers, requests and bodies
// have the interfaces that they had, a panic goes on as it came, the request of a
// client is not touched, and errors are those of net/http. What a wrapper cannot
// keep is listed in docs/http.md.
//
// # Routes
//
// Spans and metrics are named by the pattern of an [http.ServeMux] inside
// [Handler]. If middleware in between gives the mux another request, [Route]
// around the mux tells the pattern; [SetPattern] does for the routers of others.
package clewhttp
