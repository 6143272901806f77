/** What must hold for every run of the network, as fast-check properties. */
import fc from 'fast-check';
import { MACHINES, Network, type Machines, type Setting, type Turn } from './network.js';

const setting: fc.Arbitrary<Setting> = fc.record({
  votes: fc.array(fc.oneof(
    { weight: 12, arbitrary: fc.constant('yes' as const) }, { weight: 1, arbitrary: fc.constant('no' as const) }, { weight: 2, arbitrary: fc.constant('read-only' as const) },
  ), { minLength: 1, maxLength: 4 }),
  waitFor: fc.constantFrom('decided', 'finished'),
  forgetful: fc.boolean(),
});

/** How often each turn is drawn. Work outweighs faults, so that runs get somewhere before things break. */
const WEIGHTS: { readonly [K in Turn['kind']]: number } = {
  deliver: 160, flush: 100, timer: 12, repeat: 16, lose: 12, presume: 2, cancel: 1, resolve: 2, retry: 8,
  'crash-owner': 3, 'flush-then-crash': 6, 'take-over': 6, 'crash-in-handler': 4, 'crash-before-send': 8, 'crash-branch': 4, 'recover-branch': 20,
};

const turn: fc.Arbitrary<Turn> = fc.record({
  kind: fc.oneof(...Object.entries(WEIGHTS).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind as Turn['kind']) }))),
  pick: fc.nat(59),
});

/** Faults for a while, then healing: safe at every moment, and at an end in the end. */
export function survivesFaults(machines: Machines = MACHINES) {
  return fc.property(setting, fc.array(turn, { minLength: 10, maxLength: 120, size: 'max' }), (chosen, turns) => {
    const network = new Network(chosen, machines);
    for (const each of turns) network.turn(each);
    network.heal();
  });
}

/** AC4, and AC3 from the other side: without faults the votes alone decide, in whatever order messages come. */
export function votesDecide(machines: Machines = MACHINES) {
  return fc.property(setting, fc.array(fc.nat(59), { maxLength: 60 }), (chosen, picks) => {
    const network = new Network(chosen, machines);
    for (const pick of picks) network.turn({ kind: pick % 3 === 0 ? 'flush' : 'deliver', pick });
    network.heal();
    const expected = chosen.votes.includes('no') ? 'aborted' : 'committed';
    if (network.outcome() !== expected) throw new Error(`AC4: ${expected} expected: ${network.describe()}`);
  });
}
