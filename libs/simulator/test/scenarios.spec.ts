/** Each file of libs/protocol/scenarios/<protocol>/ word for word, on the machines as the simulator drives them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { play } from '../src/scenario.js';
import { SCENARIO_SYSTEMS } from './scenario-systems.js';

const FOLDER = fileURLToPath(new URL('../../protocol/scenarios', import.meta.url));

// UPDATE_SCENARIOS=1 writes what the machines answer into the files, to be reviewed as a diff.
for (const [protocol, factory] of Object.entries(SCENARIO_SYSTEMS)) {
  const folder = join(FOLDER, protocol);
  for (const file of existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.txt')) : []) {
    test(`scenario ${protocol}/${file}: the machines answer as written`, () => {
      const path = join(folder, file);
      const written = readFileSync(path, 'utf8');
      const played = play(written, factory);
      if (process.env.UPDATE_SCENARIOS === '1') writeFileSync(path, played);
      else expect(played).toBe(written);
    });
  }
}
