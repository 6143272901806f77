import { describe, expect, it } from '@jest/globals';
import { recorder } from '../src/narrate.js';
import { transcript } from '../src/transcript.js';
import { SAMPLE } from './sample-trace.js';

const onlyT1 = SAMPLE.slice(0, 17);

describe('the transcript', () => {
  it('tells every event in one line, with time, place and transaction', () => {
    expect(transcript(SAMPLE)).toBe(`\
    ms  where          tx     what
     0  client         t1     START
     0  coordinator#1  t1       coordinator takes START: - -> preparing
     0  coordinator#1  t1       durable: coordinator BEGIN
     0  coordinator#1  t1       coordinator sends PREPARE to participant 0
     0  coordinator#1  t1       coordinator sends PREPARE to participant 1
     0  coordinator#1  t1       the network doubles PREPARE to participant 1
   2.5  p0             t1     PREPARE from coordinator arrives after 2.5 ms
   2.5  p0             t1       participant 0 takes PREPARE: - -> prepared
     4  network        t1       LOST (the network drops it): PREPARE from coordinator to participant 1
     5  p0             t1       durable: participant 0 prepared
     5  p0             t1       participant 0 sends VOTE yes to coordinator#1
     6  p1             t1     PREPARE from coordinator arrives after 6 ms
     6  p1             t1       participant 1 takes PREPARE: - -> prepared
     6  p1                      crashes before the flush
     7  network                 cut: nothing from p0 reaches coordinator
     8  network        t1       LOST (partition): VOTE yes from participant 0 to coordinator#1
     9  p0                      slow by a factor of 4
    20  p0                      the clock jumps by -300 ms
    30  coordinator#2           takes the shard over (tenure 2)
    30  coordinator#2  t1       coordinator takes RECOVER: - -> aborting
    31  coordinator#2  t1       durable: coordinator DECIDE ABORT
    31  coordinator#2  t1       tells the client: aborted
    31  coordinator#2  t1       coordinator sends ABORT <b>"now"</b> to participant 1
    33  network        t1       LOST (the process is down): ABORT <b>"now"</b> from coordinator to participant 1
    40  coordinator#1  t1       coordinator takes timer deadline: still preparing
    40  coordinator#1  t1       REFUSED by the store: coordinator END
    50  network                 whole again

  1050                        HEALED: no more faults, everything must end
  1050  p1                      starts again from what is durable
  1051  client         t2     START
  1052  p1             t2       participant 1 sends PHASE_2A (0, 1) to acceptor 1
1052.5  p1             t2     PHASE_2A (0, 1) from participant 1 arrives after 0.5 ms
1052.5  p1             t2       acceptor 1 takes PHASE_2A (0, 1): - -> accepted (0, 1)
  1053  p1             t2+t1    durable: acceptor 1 accepted; participant 1 aborted
  1054  p1             t2       acceptor 1 sends PHASE_2B (0, 1) to coordinator#2
  1055  coordinator#1           crashes for good
  1056                        VIOLATION AC1: participant 0 committed and participant 1 aborted </script><script>alert(1)</script>

t1 = 00000000-0000-7000-8000-000000000001
t2 = 00000000-0000-7000-8000-000000000002
`);
  });

  it('of a single transaction does not name it', () => {
    expect(transcript(onlyT1).split('\n').slice(0, 3)).toEqual([
      ' ms  where          what', '  0  client         START', '  0  coordinator#1    coordinator takes START: - -> preparing',
    ]);
  });

  it('takes a message that the machine sends again later for no copy of the network', () => {
    const { events, trace } = recorder();
    for (const event of onlyT1.filter(({ kind }) => kind === 'send')) trace(event);
    trace({ ...SAMPLE[4]!, atMs: 200 } as (typeof SAMPLE)[number]);
    expect(transcript(events).match(/doubles/g)).toHaveLength(1);
  });

  it('of no event is its heading', () => {
    expect(transcript([])).toBe('ms  where  what\n');
  });
});
