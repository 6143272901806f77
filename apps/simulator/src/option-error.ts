/** Bad options; the message names the option, what it got and what it takes. */
export class OptionError extends Error {
  readonly code = 'INVALID_OPTION';
}
