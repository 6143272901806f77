/** A made-up run with every kind of event, and texts that must not be taken for markup. */
import type { TraceEvent } from '../src/trace.js';

const T1 = '00000000-0000-7000-8000-000000000001';
const T2 = '00000000-0000-7000-8000-000000000002';

function send(atMs: number, id: number, from: string, to: string, sender: string, receiver: string, text: string, txid = T1): TraceEvent {
  return { atMs, kind: 'send', id, from, to, sender, receiver, txid, text };
}

export const SAMPLE: readonly TraceEvent[] = [
  { atMs: 0, kind: 'client', txid: T1, text: 'START' },
  { atMs: 0, kind: 'step', process: 'coordinator#1', role: 'coordinator', txid: T1, input: 'START', before: '-', after: 'preparing' },
  { atMs: 0, kind: 'flush', process: 'coordinator#1', site: 'coordinator', records: [{ txid: T1, role: 'coordinator', text: 'BEGIN', refused: false }] },
  send(0, 1, 'coordinator#1', 'p0', 'coordinator', 'participant 0', 'PREPARE'),
  send(0, 2, 'coordinator#1', 'p1', 'coordinator', 'participant 1', 'PREPARE'),
  send(0, 3, 'coordinator#1', 'p1', 'coordinator', 'participant 1', 'PREPARE'),
  { atMs: 2.5, kind: 'deliver', id: 1 },
  { atMs: 2.5, kind: 'step', process: 'p0', role: 'participant 0', txid: T1, input: 'PREPARE', before: '-', after: 'prepared' },
  { atMs: 4, kind: 'lose', id: 2, why: 'loss' },
  { atMs: 5, kind: 'flush', process: 'p0', site: 'p0', records: [{ txid: T1, role: 'participant 0', text: 'prepared', refused: false }] },
  send(5, 4, 'p0', 'coordinator#1', 'participant 0', 'coordinator', 'VOTE yes'),
  { atMs: 6, kind: 'deliver', id: 3 },
  { atMs: 6, kind: 'step', process: 'p1', role: 'participant 1', txid: T1, input: 'PREPARE', before: '-', after: 'prepared' },
  { atMs: 6, kind: 'crash', process: 'p1', when: 'before the flush', forGood: false },
  { atMs: 7, kind: 'cut', from: ['p0'], to: ['coordinator'] },
  { atMs: 8, kind: 'lose', id: 4, why: 'partition' },
  { atMs: 9, kind: 'slow', process: 'p0', factor: 4 },
  { atMs: 20, kind: 'clock', process: 'p0', jumpMs: -300 },
  { atMs: 30, kind: 'take-over', process: 'coordinator#2', tenure: 2 },
  { atMs: 30, kind: 'step', process: 'coordinator#2', role: 'coordinator', txid: T1, input: 'RECOVER', before: '-', after: 'aborting' },
  { atMs: 31, kind: 'flush', process: 'coordinator#2', site: 'coordinator', records: [{ txid: T1, role: 'coordinator', text: 'DECIDE ABORT', refused: false }] },
  { atMs: 31, kind: 'answer', process: 'coordinator#2', txid: T1, outcome: 'aborted' },
  send(31, 5, 'coordinator#2', 'p1', 'coordinator', 'participant 1', 'ABORT <b>"now"</b>'),
  { atMs: 33, kind: 'lose', id: 5, why: 'process down' },
  { atMs: 40, kind: 'step', process: 'coordinator#1', role: 'coordinator', txid: T1, input: 'timer deadline', before: 'preparing', after: 'preparing' },
  { atMs: 40, kind: 'flush', process: 'coordinator#1', site: 'coordinator', records: [{ txid: T1, role: 'coordinator', text: 'END', refused: true }] },
  { atMs: 50, kind: 'join' },
  { atMs: 1050, kind: 'heal' },
  { atMs: 1050, kind: 'restart', process: 'p1' },
  { atMs: 1051, kind: 'client', txid: T2, text: 'START' },
  send(1052, 6, 'p1', 'p1', 'participant 1', 'acceptor 1', 'PHASE_2A (0, 1)', T2),
  { atMs: 1052.5, kind: 'deliver', id: 6 },
  { atMs: 1052.5, kind: 'step', process: 'p1', role: 'acceptor 1', txid: T2, input: 'PHASE_2A (0, 1)', before: '-', after: 'accepted (0, 1)' },
  {
    atMs: 1053, kind: 'flush', process: 'p1', site: 'p1',
    records: [{ txid: T2, role: 'acceptor 1', text: 'accepted', refused: false }, { txid: T1, role: 'participant 1', text: 'aborted', refused: false }],
  },
  send(1054, 7, 'p1', 'coordinator#2', 'acceptor 1', 'coordinator', 'PHASE_2B (0, 1)', T2),
  { atMs: 1055, kind: 'crash', process: 'coordinator#1', when: '', forGood: true },
  { atMs: 1056, kind: 'violation', text: 'AC1: participant 0 committed and participant 1 aborted </script><script>alert(1)</script>' },
];
