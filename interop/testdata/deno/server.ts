// The tutorial's server.
import { trace } from "@opentelemetry/api";

const tracer = trace.getTracer("api-server", "1.0.0");

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
}, (req) =>
  tracer.startActiveSpan("process-api-request", async (span) => {
    const { pathname } = new URL(req.url);
    span.updateName(`${req.method} ${pathname}`);
    span.setAttribute("http.route", pathname);
    span.addEvent("processing_request", { request_id: crypto.randomUUID(), timestamp: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, 50)); // the work
    console.log("Server: Processing request in trace context");
    span.end();
    return Response.json({ message: "Hello from server!" });
  }));

await Deno.stdin.readable.pipeTo(new WritableStream());
Deno.exit(0);
