// `npm run costs`: the Node of the machine only has to be able to start the one that came with the packages.
import { runTool } from './bootstrap.mjs';

await runTool('simulator.ts', ['costs', ...process.argv.slice(2)]);
