// Reads "operation count" lines and answers each with the nanoseconds of CPU it took.
import process from "node:process";
const dir = Deno.args[0];
const tp = await import(`${dir}/traceparent.js`);
const ts = await import(`${dir}/tracestate.js`);
const header = Deno.args[1], list = Deno.args[2];
const parent = tp.parse(header), state = ts.parse(list);
let kept;
const operations = {
  parse: () => { kept = tp.parse(header); },
  make: () => { kept = tp.make(); },
  child: () => { kept = parent.child(); },
  format: () => { kept = String(parent); },
  parseState: () => { kept = ts.parse(list); },
  formatState: () => { kept = String(state); },
};
const buffer = new Uint8Array(256), text = new TextDecoder();
for (;;) {
  const read = Deno.stdin.readSync(buffer);
  if (!read) break;
  const [name, count] = text.decode(buffer.subarray(0, read)).trim().split(" ");
  const f = operations[name];
  const start = process.cpuUsage();
  for (let i = +count; i > 0; i--) f();
  const used = process.cpuUsage(start);
  console.log(Math.round((used.user + used.system) * 1e3));
}
