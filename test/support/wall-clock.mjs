// Loaded before a service (NODE_OPTIONS=--import): its wall clock shows what the file WALL_CLOCK_DIR/INSTANCE_ID says, in milliseconds
// away from the real time, and jumps when the file changes; what it has seen it writes into a file beside it. As on a machine whose time is set, the monotonic clock is not touched.
import fs from 'node:fs';
import path from 'node:path';

const EVERY_MS = 10;

const file = path.join(process.env.WALL_CLOCK_DIR, process.env.INSTANCE_ID);
const RealDate = Date;
const realNow = RealDate.now.bind(RealDate);
let offsetMs = 0;

function look() {
  const found = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
  if (found === offsetMs) return;
  offsetMs = found;
  fs.writeFileSync(`${file}.seen`, String(offsetMs));
}

look();
setInterval(look, EVERY_MS).unref();

RealDate.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [RealDate.now()] : args, newTarget),
  apply: (target) => new target(RealDate.now()).toString(),
});
