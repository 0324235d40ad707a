// A service with OpenTelemetry's own instrumentation of Node's http. It answers
// with the records of all services that the request visited from here on.
const { NodeSDK } = require("@opentelemetry/sdk-node");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { trace } = require("@opentelemetry/api");

const sdk = new NodeSDK({ instrumentations: [new HttpInstrumentation()] });
sdk.start();

const http = require("node:http"); // after the instrumentation

const routeHeader = "interop-route";

function own(req) {
  const received = {};
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i].toLowerCase().replace(/(^|-)[a-z]/g, (s) => s.toUpperCase());
    (received[name] ??= []).push(req.rawHeaders[i + 1]);
  }
  const span = trace.getActiveSpan()?.spanContext();
  return {
    Received: received,
    TraceID: span?.traceId ?? "",
    SpanID: span?.spanId ?? "",
    Sampled: ((span?.traceFlags ?? 0) & 1) === 1,
  };
}

const server = http.createServer((req, res) => {
  const records = [own(req)];
  const answer = () => {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify(records));
  };
  const [url, ...rest] = (req.headers[routeHeader] ?? "").split(",");
  if (!url) return answer();
  http.get(url, { headers: { [routeHeader]: rest.join(",") } }, (resp) => {
    let body = "";
    resp.setEncoding("utf8");
    resp.on("data", (chunk) => body += chunk);
    resp.on("end", () => {
      records.push(...JSON.parse(body));
      answer();
    });
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));

process.stdin.on("end", () => sdk.shutdown().finally(() => process.exit(0))).resume();
