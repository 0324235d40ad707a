// A service with the runtime's own server and client. Called with "h2c", the
// client speaks HTTP/2 from the start.
import { next, own, routeHeader } from "./record.ts";

const client = Deno.args[0] === "h2c" ? Deno.createHttpClient({ http1: false, http2: true }) : undefined;

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
}, async (req) => {
  const records: unknown[] = [own(req.headers)];
  const [url, rest] = next(req.headers.get(routeHeader) ?? "");
  if (url) {
    const resp = await fetch(url, { headers: { [routeHeader]: rest }, client });
    records.push(...await resp.json());
  }
  return Response.json(records);
});

await Deno.stdin.readable.pipeTo(new WritableStream());
Deno.exit(0);
