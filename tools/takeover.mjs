// `npm run takeover`: the Node of the machine only has to be able to start the one that came with the packages.
import { runTool } from './bootstrap.mjs';

await runTool('takeover.ts');
