/** The cost table: every protocol, layout and size, counted in a run and by formula. */
import { LAYOUTS, layoutOf, type LayoutName } from './layout.js';
import { measureCost, type Cost, type MeasuredCost } from './measure.js';
import { COMPARED, type ComparedProtocol } from './protocols.js';

export const SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 10] as const;

export interface CostRow {
  readonly protocol: string;
  readonly f: number | null;
  readonly layout: LayoutName;
  readonly participants: number;
  readonly measured: MeasuredCost;
  readonly formula: Cost;
  readonly equal: boolean;
}

export function costTable(): CostRow[] {
  return LAYOUTS.flatMap((layout) => COMPARED.flatMap((protocol) => SIZES.map((participants) => costRow(protocol, layout, participants))));
}

export function costRow({ name, f, initiator, system, formula }: ComparedProtocol, layout: LayoutName, participants: number): CostRow {
  const place = layoutOf(layout, participants);
  const measured = measureCost(system(participants), { ...place, initiatorPrepared: place.initiatorPrepared && initiator });
  const expected = formula(participants, layout);
  const equal = measured.messages === expected.messages && measured.delays === expected.delays && measured.writes === expected.writes;
  return { protocol: name, f, layout, participants, measured, formula: expected, equal };
}
