import type { RunnerObserver } from '../handler-runner.js';

/** Writes what it is told into the list, a line each. */
export function recordingObserver(observed: string[]): RunnerObserver {
  return {
    ran: (operation, action, calls) => observed.push(`ran ${operation} ${action} ${calls.map((one) => one.protocol).join()}`),
    voted: ({ protocol, operation }, { vote: said, reason }) => observed.push(`${protocol} ${operation} ${said} ${reason?.code ?? ''}`.trim()),
    failed: (operation, action, calls) => observed.push(`failed ${operation} ${action} ${calls}`),
  };
}
