import type { Envelope, Message } from '#libs/protocol';
import type { InboundBatch, Inbox, Subscriber, Subscription, Transport } from '../../ports.js';

/** Remembers what is sent; sends can be held or made to fail. */
export class FakeTransport implements Transport {
  readonly sends: (readonly Envelope[])[] = [];
  subscriber: Subscriber | null = null;
  inbox: Inbox | null = null;
  isReachable = true;
  /** Called with everything that leaves, at the moment it leaves. */
  onSend: (envelopes: readonly Envelope[]) => void = () => {};
  private held: (() => void)[] | null = null;

  get messages(): readonly Message[] {
    return this.sends.flat().map(({ message }) => message);
  }

  async send(envelopes: readonly Envelope[]): Promise<void> {
    if (!this.isReachable) throw new Error('the broker is out of reach');
    this.onSend(envelopes);
    this.sends.push(envelopes);
    if (this.held !== null) await new Promise<void>((resolve) => this.held!.push(resolve));
  }

  /** From now on sends leave, but are not acknowledged. */
  hold(): void {
    this.held = [];
  }

  acknowledge(): void {
    const { held } = this;
    this.held = null;
    for (const resolve of held ?? []) resolve();
  }

  async subscribe(inbox: Inbox, subscriber: Subscriber): Promise<Subscription> {
    this.inbox = inbox;
    this.subscriber = subscriber;
    return {
      close: async () => {
        this.subscriber = null;
      },
    };
  }

  healthy(): boolean {
    return this.isReachable;
  }

  async close(): Promise<void> {}
}

export class FakeBatch implements InboundBatch {
  isDone = false;
  readonly deadLetters: { message: Message; error: Error }[] = [];

  constructor(readonly messages: readonly Message[], readonly partition = 0) {}

  done(): void {
    this.isDone = true;
  }

  async deadLetter(message: Message, error: Error): Promise<void> {
    this.deadLetters.push({ message, error });
  }
}
