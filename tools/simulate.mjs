// `npm run simulate`: the Node of the machine only has to be able to start the one that came with the packages.
import { runTool } from './bootstrap.mjs';

await runTool('simulator.ts', ['simulate', ...process.argv.slice(2)]);
