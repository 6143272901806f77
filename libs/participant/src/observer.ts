import type { HandlerAction, HandlerVote } from '#libs/protocol';
import type { ParkedBranch, ParticipantErrorContext, ParticipantFlush, ParticipantObserver } from '#libs/runtime';
import type { Logger } from '#libs/service';
import type { RunnerObserver } from './handler-runner.js';
import type { ParticipantMetrics } from './metrics.js';

/** After this many failures of one branch's handler somebody should look. */
const ALERT_AFTER_ATTEMPTS = 5;

/** What happens in driver and runner, as log lines and metrics. */
export class ParticipantReporter implements ParticipantObserver, RunnerObserver {
  constructor(private readonly logger: Logger, private readonly metrics: ParticipantMetrics | null) {}

  ran(operation: string, action: HandlerAction, calls: number): void {
    this.metrics?.ran(operation, action, calls);
  }

  voted(operation: string, vote: HandlerVote): void {
    this.metrics?.voted(operation, vote);
  }

  failed(operation: string, action: HandlerAction, calls: number, error: unknown): void {
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
    const level = (context.attempt ?? 0) > 0 ? 'debug' : context.activity === 'step' || context.activity === 'dropped' ? 'error' : 'warn';
    this.logger[level]({ ...context, err: error }, `${context.activity} failed`);
  }
}
