import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { play } from './scenario-world.js';

const FOLDER = fileURLToPath(new URL('../scenarios', import.meta.url));

// UPDATE_SCENARIOS=1 writes what the machines answer into the files, to be reviewed as a diff.
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  test(`scenario ${file}: the machines answer as written`, () => {
    const path = join(FOLDER, file);
    const written = readFileSync(path, 'utf8');
    const played = play(written);
    if (process.env.UPDATE_SCENARIOS === '1') writeFileSync(path, played);
    else expect(played).toBe(written);
  });
}
