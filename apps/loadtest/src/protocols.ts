// Run by Node as it is (tools/chaos), too: erasable TypeScript, relative imports in .ts.

export const PROTOCOLS = ['2pc', '3pc', 'paxos-commit', 'saga'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
