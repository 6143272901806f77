/** A function that calls `then` when it has been called `times` times. */
export function after(times: number, then: () => void): () => void {
  let missing = times;
  return () => {
    missing--;
    if (missing === 0) then();
  };
}
