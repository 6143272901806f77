import type { HandlerCall, HandlerResult, HandlerRunner } from './types.js';

/** Of a site that hosts an acceptor and nothing else: work for a branch fails in sight, and its coordinator hears NO. */
export class NoHandlers<Handle> implements HandlerRunner<Handle> {
  constructor(private readonly name: string) {}

  async run(_tx: unknown, calls: readonly HandlerCall[]): Promise<readonly HandlerResult[]> {
    return calls.map(({ action, operation }) => ({ ok: false, error: new Error(`${this.name} runs no handlers, so it cannot ${action} ${operation}`) }));
  }
}
