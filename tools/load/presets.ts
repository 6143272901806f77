import { PROTOCOL_NAMES } from '../../libs/protocol/src/messages.ts';
import type { Fields } from './settings.ts';

/** Questions that are asked often, as what differs between the configurations. */
export const PRESETS = {
  /** What do the guarantees of each protocol cost? */
  protocols: PROTOCOL_NAMES.map((protocol): Fields => ({ way: 'sdk', protocol })),
  /** What does it cost to be three services instead of one program with one database? */
  monolith: ['local', 'local-single', 'local-http', 'sdk', 'http', 'batch'].map((way): Fields => ({ way })),
  /** What does one more participant cost? */
  participants: ['1', '2', '3', '5', '10'].map((participants): Fields => ({ way: 'sdk', participants })),
  /** What do locks on the same rows cost, here and in one database? */
  skew: ['local', 'sdk'].flatMap((way) => ['uniform', 'zipf=0.99', 'hot'].map((skew): Fields => ({ way, skew }))),
} as const;

/** The configurations of a preset: what it says, and for the rest what is given. */
export function presetFields(name: keyof typeof PRESETS, given: Fields): readonly Fields[] {
  return PRESETS[name].map((fields) => ({ ...given, ...fields }));
}
