/**
 * Which configuration is measured when: all of them in turn, round by round. Every second round goes backwards, so that a machine that
 * becomes slower and slower does not always meet the same one last.
 * @returns places in `configurations`, one for each run
 */
export function orderOf(configurations: number, rounds: number): readonly number[] {
  const forwards = Array.from({ length: configurations }, (_, i) => i);
  return Array.from({ length: rounds }, (_, round) => (round % 2 === 0 ? forwards : forwards.toReversed())).flat();
}
