// The same server for Deno, whose own instrumentation traces it. It ends when its
// standard input does.
Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ hostname, port }) => console.log(`${hostname}:${port}`),
}, () => new Response("hello\n"));

await Deno.stdin.readable.pipeTo(new WritableStream());
Deno.exit(0);
