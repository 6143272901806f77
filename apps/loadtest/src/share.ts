/** What of a whole number falls to one of `workers`, from 0: the first ones take what does not divide. */
export function shareOf(total: number, worker: number, workers: number): number {
  return Math.floor(total / workers) + (worker < total % workers ? 1 : 0);
}
