import { test } from '@jest/globals';
import fc from 'fast-check';
import { runParameters } from '../../../test/support/property-runs.js';
import { survivesFaults, votesDecide } from './properties.js';

test('with loss, repetition, reordering, crashes and rival owners, AC1-AC3 hold throughout and everything ends after healing (AC5)', () => {
  fc.assert(survivesFaults(), runParameters(15_000));
}, 60_000);

test('without faults the transaction commits if every branch agrees and aborts if one does not (AC3, AC4)', () => {
  fc.assert(votesDecide(), runParameters(3000));
}, 60_000);
