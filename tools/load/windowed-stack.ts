// A stack for several runs: what has been audited after one of them is not looked at again after the next, but in the end.
import { type Database, DATABASES } from '../start/settings.ts';
import { auditMonolith, auditShop } from './audit.ts';
import { WindowedDatabase } from './audit-window.ts';
import { auditFails } from './report-figures.ts';
import type { AuditCheck, RunReport } from './report-types.ts';
import { isLocal } from './settings.ts';
import { type OwnStack, pools, type Stack } from './stack.ts';

/** Begins the ids of orders that are made at that time or later; those of earlier ones sort before it. */
export function orderPrefixAt(ms: number): string {
  return `l${ms.toString(36)}`;
}

/** The same stack, seen through windows. @param cleanup is given what has to be undone */
export function windowedStack(whole: OwnStack, cleanup: (() => Promise<void>)[]): Stack {
  const open = pools(cleanup);
  const shop = new Map(DATABASES.map((name) => [name, new WindowedDatabase(whole.databaseUrls[name], name, open)]));
  const extras = new Map([...whole.extraUrls].map(([name, url]) => [name, new WindowedDatabase(url, 'extra', open)]));
  const monolith = whole.monolith === null ? null : new WindowedDatabase(whole.monolith.databaseUrl, 'monolith', open);
  let advances = 0;
  return {
    ...whole,
    databases: Object.fromEntries([...shop].map(([name, { pool }]) => [name, pool])) as Record<Database, WindowedDatabase['pool']>,
    extras: new Map([...extras].map(([name, { pool }]) => [name, pool])),
    monolith: monolith === null ? null : { ...whole.monolith!, pool: monolith.pool },
    window: {
      advance: async (of) => {
        advances++;
        const order = orderPrefixAt(Date.now());
        if (of === 'monolith') return monolith!.advance(null, order);
        const txid = await shop.get('coordinator')!.lastTxid();
        await Promise.all([...shop.values(), ...extras.values()].map((database) => database.advance(txid, order)));
      },
      auditWhole: (runs) => (advances < 2 ? Promise.resolve([]) : auditWhole(whole, runs)),
    },
  };
}

/**
 * What holds of everything since the start goes to the last run. What does not may have been broken in any of them: then none of them may
 * be believed.
 */
export async function wholeAudited(runs: readonly RunReport[], { window }: Stack): Promise<readonly RunReport[]> {
  if (window === undefined || runs.some(auditFails)) return runs;
  const checks = (await window.auditWhole(runs)).map((check) => ({ ...check, name: `of all runs: ${check.name}` }));
  const broken = checks.filter(({ holds }) => !holds);
  return runs.map((run, i) => ({ ...run, audit: [...run.audit, ...(i === runs.length - 1 ? checks : broken)] }));
}

async function auditWhole({ databases, extras, monolith }: OwnStack, runs: readonly RunReport[]): Promise<readonly AuditCheck[]> {
  const local = runs.filter(({ settings }) => isLocal(settings.way));
  const committed = local.reduce((sum, { endings }) => sum + endings.committed, 0);
  const own = local.length === 0 ? [] : await auditMonolith(monolith!.pool, { idPrefix: '', committed });
  return [...await auditShop(databases, extras, []), ...own.map((check) => ({ ...check, name: `monolith, ${check.name}` }))];
}
