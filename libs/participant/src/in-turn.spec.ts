import { describe, expect, it } from '@jest/globals';
import { inTurn, type Part } from './in-turn.js';

/** A connection on which `begin` is a statement that is on its way, and answered some turns later. */
class Wire {
  readonly log: string[] = [];
  private onSent = (): void => undefined;

  sent(): Promise<void> {
    return new Promise((resolve) => { this.onSent = resolve; });
  }

  part(name: string, overlaps: boolean, error?: Error): Part<string> {
    return {
      overlaps,
      run: async () => {
        await Promise.resolve();
        this.log.push(`${name} sent`);
        this.onSent();
        await new Promise((resolve) => { setTimeout(resolve, 5); });
        this.log.push(`${name} ended`);
        if (error !== undefined) throw error;
        return name;
      },
    };
  }
}

describe('inTurn', () => {
  it('starts a part when the one before is through, or, if that overlaps, when its statement is on its way', async () => {
    const wire = new Wire();
    expect(await inTurn(wire, [wire.part('a', true), wire.part('b', false), wire.part('c', true)], () => undefined)).toEqual(['a', 'b', 'c']);
    expect(wire.log).toEqual(['a sent', 'b sent', 'a ended', 'b ended', 'c sent', 'c ended']);
  });

  it('waits for every answer where nobody can tell what is on its way', async () => {
    const wire = new Wire();
    await inTurn({}, [wire.part('a', true), wire.part('b', true)], () => undefined);
    expect(wire.log).toEqual(['a sent', 'a ended', 'b sent', 'b ended']);
  });

  it('throws what went wrong first, when all that run have ended, and starts nothing more', async () => {
    const wire = new Wire();
    const failed: number[] = [];
    const parts = [wire.part('a', true, new Error('first')), wire.part('b', false, new Error('second')), wire.part('c', false)];
    await expect(inTurn(wire, parts, (part) => failed.push(part))).rejects.toThrow('first');
    expect([wire.log, failed]).toEqual([['a sent', 'b sent', 'a ended', 'b ended'], [0]]);
  });
});
