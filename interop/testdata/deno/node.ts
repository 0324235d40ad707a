// A service with the server and the client of node:http. Called with
// "extract", it continues the trace of the request by itself.
import http from "node:http";
import process from "node:process";
import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import { next, own, routeHeader } from "./record.ts";

const tracer = trace.getTracer("node-server");

function serve(req: http.IncomingMessage, res: http.ServerResponse) {
  const headers: [string, string][] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    headers.push([req.rawHeaders[i], req.rawHeaders[i + 1]]);
  }
  const records: unknown[] = [own(headers)];
  const answer = () => {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify(records));
  };
  const [url, rest] = next(String(req.headers[routeHeader] ?? ""));
  if (!url) return answer();
  http.get(url, { headers: { [routeHeader]: rest } }, (resp) => {
    let body = "";
    resp.setEncoding("utf8");
    resp.on("data", (chunk: string) => body += chunk);
    resp.on("end", () => {
      records.push(...JSON.parse(body));
      answer();
    });
  });
}

function extractAndServe(req: http.IncomingMessage, res: http.ServerResponse) {
  const parent = propagation.extract(context.active(), req.headers);
  tracer.startActiveSpan("GET", { kind: SpanKind.SERVER }, parent, (span) => {
    res.on("finish", () => span.end());
    serve(req, res);
  });
}

const server = http.createServer(process.argv[2] === "extract" ? extractAndServe : serve);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address && typeof address === "object") console.log(`http://127.0.0.1:${address.port}/`);
});

process.stdin.on("end", () => process.exit(0)).resume();
