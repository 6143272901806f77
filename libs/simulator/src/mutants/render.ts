import type { Catch } from './hunt.js';

/** A Markdown table, one line for each mutant. */
export function renderCatches(catches: readonly Catch[]): string {
  const lines = catches.map((each) => `| ${[each.mutant.protocol, `\`${each.mutant.name}\``, each.mutant.breaks, bySeed(each), byStates(each)].join(' | ')} |`);
  const found = (by: 'bySeed' | 'byStates') => catches.filter((each) => each[by] !== null).length;
  const both = catches.filter((each) => each.bySeed !== null || each.byStates !== null).length;
  return [
    `${catches.length} mutants: ${both} caught, ${found('bySeed')} by seeds, ${found('byStates')} among the states of small systems.`, '',
    '| protocol | mutant | what it breaks | first seed that finds it | states explored until found |', '|---|---|---|---|---|', ...lines, '',
  ].join('\n');
}

function bySeed({ bySeed: found }: Catch): string {
  return found === null ? '-' : `${found.seed}: ${property(found.text)}`;
}

function byStates({ byStates: found }: Catch): string {
  return found === null ? '-' : `${found.states.toLocaleString('en')} of ${found.plan}: ${property(found.text)}`;
}

/** `AC1` of `AC1: both outcomes are told`. */
function property(text: string): string {
  return text.slice(0, text.indexOf(':'));
}
