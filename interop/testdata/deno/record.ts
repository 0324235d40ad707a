// The services of the test: they answer with the records of all services that
// the request visited from here on.
import { trace } from "@opentelemetry/api";

export const routeHeader = "interop-route";

type Headers_ = Iterable<[string, string]>;

// own is the record of this service: headers as they were received.
export function own(headers: Headers_) {
  const received: Record<string, string[]> = {};
  for (const [name, value] of headers) {
    const canonical = name.toLowerCase().replace(/(^|-)[a-z]/g, (s) => s.toUpperCase());
    (received[canonical] ??= []).push(value);
  }
  const span = trace.getActiveSpan()?.spanContext();
  return {
    Received: received,
    TraceID: span?.traceId ?? "",
    SpanID: span?.spanId ?? "",
    Sampled: ((span?.traceFlags ?? 0) & 1) === 1,
  };
}

// next splits the route.
export function next(route: string): [string, string] {
  const [url, ...rest] = route.split(",");
  return [url, rest.join(",")];
}
