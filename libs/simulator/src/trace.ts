/** What happens in a simulated run, in order: the one source of transcripts, sequence diagrams and cost tables. */
import type { OutcomeStatus } from '#libs/protocol';
import type { RoleName, SiteName } from './system.js';

/** `coordinator#1` and `coordinator#2` are two processes over one database; every other site has one process of its own name. */
export type ProcessName = string;

export type TraceEvent = { readonly atMs: number } & (
  /** `id` names the copy in flight: a duplicate gets an id of its own. */
  | { readonly kind: 'send'; readonly id: number; readonly from: ProcessName; readonly to: ProcessName; readonly sender: RoleName; readonly receiver: RoleName; readonly txid: string; readonly text: string }
  | { readonly kind: 'deliver'; readonly id: number }
  | { readonly kind: 'lose'; readonly id: number; readonly why: 'loss' | 'partition' | 'process down' }
  /** A machine took an input. `before` and `after` are its labels; `input` reads `VOTE yes`, `timer inquire`, `START`. */
  | { readonly kind: 'step'; readonly process: ProcessName; readonly role: RoleName; readonly txid: string; readonly input: string; readonly before: string; readonly after: string }
  /** A flush: every record that became durable in it, or that the store refused. */
  | { readonly kind: 'flush'; readonly process: ProcessName; readonly site: SiteName; readonly records: readonly { readonly txid: string; readonly role: RoleName; readonly text: string; readonly refused: boolean }[] }
  | { readonly kind: 'crash'; readonly process: ProcessName; readonly when: string; readonly forGood: boolean }
  | { readonly kind: 'restart'; readonly process: ProcessName }
  | { readonly kind: 'take-over'; readonly process: ProcessName; readonly tenure: number }
  /** Messages from a site of `from` to a site of `to` are lost; both directions are two events. */
  | { readonly kind: 'cut'; readonly from: readonly SiteName[]; readonly to: readonly SiteName[] }
  | { readonly kind: 'join' }
  | { readonly kind: 'clock'; readonly process: ProcessName; readonly jumpMs: number }
  | { readonly kind: 'slow'; readonly process: ProcessName; readonly factor: number }
  | { readonly kind: 'client'; readonly txid: string; readonly text: string }
  | { readonly kind: 'answer'; readonly process: ProcessName; readonly txid: string; readonly outcome: OutcomeStatus }
  /** From here on no more faults: everything must end. */
  | { readonly kind: 'heal' }
  | { readonly kind: 'violation'; readonly text: string }
);

export type Trace = (event: TraceEvent) => void;
