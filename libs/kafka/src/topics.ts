import type { Inbox } from '#libs/runtime';

/** Names of everything that one installation has in Kafka. */
export interface TopicNames {
  readonly coordinatorInbox: string;
  readonly outcomes: string;
  readonly deadLetter: string;
  participantInbox(participant: string): string;
  inbox(inbox: Inbox): string;
  /** Consumer group of an inbox: `<prefix>.coordinator` or `<prefix>.<participant>`. */
  group(inbox: Inbox): string;
}

export function topicNames(prefix: string): TopicNames {
  const coordinatorInbox = `${prefix}.coordinator.inbox`;
  const participantInbox = (participant: string): string => `${prefix}.${participant}.inbox`;
  return {
    coordinatorInbox,
    outcomes: `${prefix}.outcomes`,
    deadLetter: `${prefix}.dead-letter`,
    participantInbox,
    inbox: (inbox) => (inbox.role === 'coordinator' ? coordinatorInbox : participantInbox(inbox.name)),
    group: (inbox) => `${prefix}.${inbox.role === 'coordinator' ? 'coordinator' : inbox.name}`,
  };
}
