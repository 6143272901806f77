import type { ProtocolName, TransactionOutcome } from '#libs/protocol';
import type { TransactionView } from '#libs/runtime';

/** How a decided transaction ends, in the words of its protocol; a saga may have yet to get there. */
export function outcomeOf({ protocol, decision }: Pick<TransactionView, 'protocol' | 'decision'>): TransactionOutcome {
  if (protocol === 'saga') return decision === 'COMMIT' ? 'completed' : 'compensated';
  return decision === 'COMMIT' ? 'committed' : 'aborted';
}

type Name = TransactionOutcome | 'begun' | 'needsAttention';

const NAMES: Readonly<Record<ProtocolName, readonly Name[]>> = {
  '2pc': ['begun', 'committed', 'aborted'],
  '3pc': ['begun', 'committed', 'aborted'],
  'paxos-commit': ['begun', 'committed', 'aborted'],
  saga: ['begun', 'completed', 'compensated', 'needsAttention'],
};

/** What one instance has begun and decided since its start, by protocol and outcome. */
export class OutcomeCounts {
  private readonly numbers = new Map<string, number>();

  begun(protocol: ProtocolName): void {
    this.add(protocol, 'begun');
  }

  decided(view: Pick<TransactionView, 'protocol' | 'decision'>): void {
    this.add(view.protocol, outcomeOf(view));
  }

  attention(protocol: ProtocolName): void {
    this.add(protocol, 'needsAttention');
  }

  json(): Record<string, Record<string, number>> {
    return Object.fromEntries(Object.entries(NAMES).map(([protocol, names]) => [protocol, Object.fromEntries(names.map((name) => [name, this.numbers.get(`${protocol} ${name}`) ?? 0]))]));
  }

  private add(protocol: ProtocolName, name: Name): void {
    const key = `${protocol} ${name}`;
    this.numbers.set(key, (this.numbers.get(key) ?? 0) + 1);
  }
}
