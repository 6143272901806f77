import type { TransactionOutcome } from '#libs/protocol';
import type { OutcomeEvent } from '#libs/runtime';

/** Content type of the structured mode of the CloudEvents Kafka protocol binding 1.0, section 3.3. */
export const CLOUD_EVENT_CONTENT_TYPE = 'application/cloudevents+json; charset=UTF-8';

/** A CloudEvents 1.0 event in JSON form, as readers of the outcomes topic find it. */
export interface OutcomeCloudEvent {
  readonly specversion: '1.0';
  /** The txid: an outcome is told at least once, and readers drop repetitions by it. */
  readonly id: string;
  readonly source: '/concordat/coordinator';
  readonly type: `concordat.transaction.${TransactionOutcome}`;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Pick<OutcomeEvent, 'txid' | 'protocol' | 'status' | 'reason'>;
}

export function toCloudEvent(outcome: OutcomeEvent): OutcomeCloudEvent {
  return {
    specversion: '1.0',
    id: outcome.txid,
    source: '/concordat/coordinator',
    type: `concordat.transaction.${outcome.status}`,
    subject: outcome.txid,
    time: new Date(outcome.decidedAtMs).toISOString(),
    datacontenttype: 'application/json',
    data: { txid: outcome.txid, protocol: outcome.protocol, status: outcome.status, reason: outcome.reason },
  };
}
