import { describe, expect, it } from '@jest/globals';
import type { InboundBatch } from '#libs/runtime';
import { ackOn, Recorder, until } from '../../test/inbox.js';
import { encodeRecords } from '../codec/record.js';
import { silentLogger } from '../logger.js';
import type { DeadLetter, InboxRecord } from './dead-letter.js';
import { InboxSession } from './session.js';

const recordAt = (offset: number): InboxRecord => ({ offset, key: null, value: encodeRecords('x/1', [ackOn(0)])[0]!, headers: {} });

function open(recorder: Recorder, put: (letter: DeadLetter) => Promise<void> = async () => {}): { session: InboxSession; throttled: [number, boolean][] } {
  const throttled: [number, boolean][] = [];
  const session = new InboxSession(recorder, {
    topic: 'inbox', role: 'coordinator', deadLetters: { put }, logger: silentLogger, throttle: (partition, full) => throttled.push([partition, full]),
  });
  return { session, throttled };
}

describe('a member’s share of an inbox', () => {
  it('tells how far each partition is done, and only what has changed', async () => {
    const { session } = open(new Recorder());
    session.assign([0, 1]);
    session.push(1, [recordAt(40), recordAt(41)]);
    await until('it is done', () => session.unsaved().length === 1);
    const [position] = session.unsaved();
    expect(position).toMatchObject({ partition: 1, offset: 42 });
    position!.saved();
    expect(session.unsaved()).toEqual([]);
  });

  it('saves nothing behind a batch that is not done, although later ones are', async () => {
    const batches: InboundBatch[] = [];
    const { session } = open(new Recorder((batch) => { batches.push(batch); }));
    session.assign([0]);
    for (const offset of [0, 1, 2]) {
      session.push(0, [recordAt(offset)]);
      await until('it is delivered', () => batches.length === offset + 1);
    }
    batches[1]!.done();
    batches[2]!.done();
    expect(session.unsaved()).toEqual([]);
    batches[0]!.done();
    expect(session.unsaved()).toMatchObject([{ partition: 0, offset: 3 }]);
  });

  it('reads on, after a rebalance, behind what is done, and else where it began', async () => {
    const batches: InboundBatch[] = [];
    const { session } = open(new Recorder((batch) => { batches.push(batch); }));
    session.assign([0, 1, 2]);
    expect(session.positionOf(0)).toBeNull();
    session.push(0, [recordAt(10)]);
    session.push(1, [recordAt(20)]);
    await until('both are delivered', () => batches.length === 2);
    batches.find(({ partition }) => partition === 0)!.done();
    session.assign([0, 1, 2]);
    session.assign([0, 1, 2]);
    expect([0, 1, 2].map((partition) => session.positionOf(partition))).toEqual([11, 20, null]);
    session.assign([2]);
    session.assign([0, 2]);
    expect(session.positionOf(0)).toBeNull();
  });

  it('delivers a partition that came back only when its last delivery of before has ended', async () => {
    let finish!: () => void;
    const recorder = new Recorder((_batch, seen) => (seen === 1 ? new Promise<void>((resolve) => { finish = resolve; }) : undefined));
    const { session } = open(recorder);
    session.assign([0]);
    session.push(0, [recordAt(0)]);
    await until('it is being delivered', () => recorder.batches.length === 1);
    session.assign([0]);
    session.push(0, [recordAt(0)]);
    await until('the new share is known', () => recorder.assignments.length === 2);
    expect(recorder.batches).toHaveLength(1);
    finish();
    await until('it is delivered again', () => recorder.batches.length === 2);
  });

  it('repeats an assignment that the subscriber could not take', async () => {
    const recorder = new Recorder();
    let refusals = 0;
    recorder.assigned = async (partitions) => {
      if (++refusals <= 2) throw new Error('the database is away');
      recorder.assignments.push(partitions);
    };
    const { session } = open(recorder);
    session.assign([0]);
    session.push(0, [recordAt(0)]);
    await until('it is delivered in the end', () => recorder.batches.length === 1);
    expect(recorder.assignments).toEqual([[0]]);
  });

  it('asks to pause a partition that is far behind, and to go on when it has caught up', async () => {
    let release!: () => void;
    const gate = new Promise<void>((resolve) => { release = resolve; });
    const recorder = new Recorder(async (batch) => {
      await gate;
      batch.done();
    });
    const { session, throttled } = open(recorder);
    session.assign([0]);
    const value = encodeRecords('x/1', [{ kind: 'VOTE', txid: ackOn(0).txid, branch: 0, vote: 'yes', result: 'x'.repeat(500_000) }])[0]!;
    for (let offset = 0; offset < 12; offset++) session.push(0, [{ offset, key: null, value, headers: {} }]);
    expect(throttled).toEqual([[0, true]]);
    release();
    await until('everything is done', () => session.unsaved()[0]?.offset === 12);
    expect(throttled).toEqual([[0, true], [0, false]]);
  });

  it('waits with the partition until a dead letter is durable', async () => {
    let isAway = true;
    const letters: DeadLetter[] = [];
    const recorder = new Recorder();
    let attempts = 0;
    const { session } = open(recorder, async (letter) => {
      attempts++;
      if (isAway) throw new Error('the broker is away');
      letters.push(letter);
    });
    session.assign([0]);
    session.push(0, [{ ...recordAt(0), value: Buffer.from('{') }, recordAt(1)]);
    await until('it has tried again', () => attempts >= 2);
    expect([recorder.batches, session.unsaved()]).toEqual([[], []]);
    isAway = false;
    await until('the record behind it is done', () => session.unsaved()[0]?.offset === 2);
    expect(letters).toMatchObject([{ errorCode: 'NOT_JSON', origin: { offset: 0 } }]);
  });
});
