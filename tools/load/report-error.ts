/** What somebody gave is no use; the message is one line and says why. */
export class ReportError extends Error {
  readonly code = 'INVALID_REPORT';
}
