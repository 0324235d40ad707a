// The tutorial's client. The argument is the URL of the server.
import { SpanStatusCode, trace } from "@opentelemetry/api";

const tracer = trace.getTracer("api-client", "1.0.0");

await tracer.startActiveSpan("call-api", async (span) => {
  try {
    console.log("Client: Starting API call");
    const resp = await fetch(Deno.args[0]);
    console.log(`Client: Received response: ${JSON.stringify(await resp.json())}`);
    span.addEvent("received_response", { status: resp.status, timestamp: Date.now() });
  } catch (e) {
    span.recordException(e as Error);
    span.setStatus({ code: SpanStatusCode.ERROR });
  } finally {
    span.end();
  }
});
