/** What an event means for somebody who sees such a diagram for the first time. */
import type { Index } from '../narrate.js';
import type { TraceEvent } from '../trace.js';

export function explain(event: TraceEvent, { copies }: Index): string {
  switch (event.kind) {
    case 'send': return copies.has(event.id)
      ? 'The network delivers this message more than once. A machine has to bear that.'
      : 'A message leaves only after everything that it depends on is durable.';
    case 'deliver': return 'The message reaches the process, which steps its machine with it. What comes of it waits for the next flush.';
    case 'lose': return LOST[event.why];
    case 'step': return stepped(event);
    case 'flush': return event.records.some(({ refused }) => refused)
      ? 'The database refuses the write: the writer is no longer the owner, or somebody was first. It drops the transaction and sends nothing.'
      : 'One database transaction. From here on a crash does not undo these records, and the messages that wait for them may leave.';
    case 'crash': return event.forGood
      ? 'The process is gone and never comes back, and its database with it. The others have to end without it, or wait.'
      : 'The process loses its memory: states, timers and all steps that were not flushed. Its database stays.';
    case 'restart': return 'The process knows only what is in its database, and goes on from there.';
    case 'take-over': return 'Another coordinator process opens the same database under a higher tenure. The old one may live on and not know.';
    case 'cut': return 'Messages in this direction are lost until the network is whole again. Nobody is told.';
    case 'join': return 'Messages reach everybody again. What was lost stays lost until somebody sends it again.';
    case 'clock': return 'Clocks may be wrong. Timers fire earlier or later than meant; nothing else may depend on them.';
    case 'slow': return 'A slow process looks to the others like a dead one.';
    case 'client': return 'What a client or an operator does.';
    case 'answer': return 'A client was told. From now on no other outcome is right.';
    case 'heal': return 'Second phase: no new faults, everybody is up and connected unless gone for good. Whatever is still open has to end within a bound.';
    case 'violation': return 'A property that must always hold does not hold at this moment. What led here is above.';
  }
}

const LOST: Readonly<Record<Extract<TraceEvent, { kind: 'lose' }>['why'], string>> = {
  loss: 'The network drops the message. Nobody is told; whoever needs it has to send it again.',
  partition: 'Sender and receiver are on different sides of a partition.',
  'process down': 'The receiver is not running, so that nobody takes the message.',
};

function stepped({ input, before, after }: Extract<TraceEvent, { kind: 'step' }>): string {
  const cause = input.startsWith('timer') ? 'Nothing came in time, so the machine acts by itself. ' : '';
  return `${cause}${before === after ? 'The state stays as it was.' : `The state changes from "${before}" to "${after}", in memory until the next flush.`}`;
}
