import type { BranchTransaction, HandlerResult, SiteRows } from '#libs/runtime';
import type { EntityManager } from 'typeorm';

/** The one fault that these tests' database has. */
export class DatabaseGone extends Error {}

/** A local transaction over a list of effects, with real savepoint semantics. */
export class FakeTransaction implements BranchTransaction<EntityManager> {
  effects: string[] = [];
  savepoints = 0;
  readonly handle = this as unknown as EntityManager;

  async load(): Promise<SiteRows> { return { branches: [], acceptors: [], leaders: [] }; }
  async save(): Promise<void> {}
  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    this.savepoints++;
    const before = [...this.effects];
    try {
      return await work();
    } catch (error) {
      this.effects = before;
      throw error;
    }
  }
}

/** What a handler under test does to its database. */
export function effect(manager: EntityManager, text: string): void {
  (manager as unknown as FakeTransaction).effects.push(text);
}

/** A vote, a reason code, `done`, or what a handler failed with. */
export function saidOf(result: HandlerResult): string {
  return result.ok ? result.vote?.reason?.code ?? result.vote?.vote ?? 'done' : `failed: ${(result.error as Error).message}`;
}

/** No JSON. */
export function loop(): object {
  const self: Record<string, unknown> = {};
  self['self'] = self;
  return self;
}
