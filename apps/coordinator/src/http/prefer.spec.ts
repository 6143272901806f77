import { describe, expect, it } from '@jest/globals';
import { DEFAULT_WAIT_MS, MAX_WAIT_MS, waitMsOf } from './prefer.js';

describe('Prefer', () => {
  it.each<[string | string[] | undefined, number]>([
    [undefined, DEFAULT_WAIT_MS],
    ['', DEFAULT_WAIT_MS],
    ['wait=3', 3_000],
    ['WAIT = 3', 3_000],
    ['wait="3"', 3_000],
    ['wait=0', 0],
    ['wait=999999', MAX_WAIT_MS],
    ['respond-async', 0],
    ['Respond-Async; x=1', 0],
    ['respond-async, wait=5', 5_000],
    ['wait=5, respond-async', 5_000],
    ['return=minimal, wait=2', 2_000],
    ['wait=1, wait=2', 1_000],
    [['respond-async', 'wait=4'], 4_000],
    ['wait=soon', DEFAULT_WAIT_MS],
    ['wait=-1', DEFAULT_WAIT_MS],
    ['wait', DEFAULT_WAIT_MS],
    ['return=minimal', DEFAULT_WAIT_MS],
  ])('%j waits %i ms', (header, waitMs) => {
    expect(waitMsOf(header)).toBe(waitMs);
  });
});
