import type { HandlerVote } from '#libs/protocol';
import type { HandlerCall, ParkedBranch, ParticipantErrorContext, ParticipantFlush, ParticipantObserver } from '#libs/runtime';
import type { Logger } from '#libs/service';
import type { Action, RunnerObserver } from './handler-runner.js';
import type { ParticipantMetrics } from './metrics.js';

/** After this many failures of one branch's handler somebody should look. */
const ALERT_AFTER_ATTEMPTS = 5;

/** What does not go away by itself. */
const LOUD: ReadonlySet<ParticipantErrorContext['activity']> = new Set(['step', 'dropped', 'defect']);

/** What happens in driver and runner, as log lines and metrics. */
export class ParticipantReporter implements ParticipantObserver, RunnerObserver {
  constructor(private readonly logger: Logger, private readonly metrics: ParticipantMetrics | null) {}

  ran(operation: string, action: Action, calls: readonly Pick<HandlerCall, 'protocol'>[]): void {
    this.metrics?.ran(operation, action, calls);
  }

  voted(call: Pick<HandlerCall, 'protocol' | 'operation'>, vote: HandlerVote): void {
    this.metrics?.voted(call, vote);
  }

  failed(operation: string, action: Action, calls: number, error: unknown): void {
    this.metrics?.failed(operation, action);
    this.logger.warn({ operation, action, calls, err: error }, calls > 1 ? 'a handler threw: its calls run one by one' : 'a handler threw');
  }

  flushed(flush: ParticipantFlush): void {
    this.metrics?.flushed(flush.ms);
  }

  parked(branch: ParkedBranch): void {
    const level = branch.attempts >= ALERT_AFTER_ATTEMPTS ? 'error' : 'warn';
    this.logger[level](branch, `the ${branch.action} handler fails; the decision stands and it will run again`);
  }

  unparked(branch: ParkedBranch): void {
    this.logger.info(branch, 'no longer parked');
  }

  error(error: unknown, context: ParticipantErrorContext): void {
    // A database or broker that is away fails many times a second: the first failure tells it.
    const level = (context.attempt ?? 0) > 0 ? 'debug' : LOUD.has(context.activity) ? 'error' : 'warn';
    this.logger[level]({ ...context, err: error }, `${context.activity} failed`);
  }
}
