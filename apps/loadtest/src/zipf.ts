/**
 * Draws of a Zipf distribution: item r of 0..n-1 comes with a probability proportional to (r + 1) ^ -exponent. From an exact table of the
 * cumulative probabilities (8 bytes an item), by binary search: right for every exponent above 0, where the usual shortcut (Gray and others,
 * Quickly Generating Billion-Record Synthetic Databases, SIGMOD 1994, which YCSB uses) is an approximation that fails from 1 on.
 * @returns the item for a uniform number, 0 <= u < 1
 */
export function zipf(n: number, exponent: number): (u: number) => number {
  const upTo = new Float64Array(n);
  let sum = 0;
  for (let r = 0; r < n; r++) upTo[r] = sum += (r + 1) ** -exponent;
  return (u) => firstAbove(upTo, u * sum);
}

function firstAbove(upTo: Float64Array, value: number): number {
  let low = 0;
  // The last one for whatever rounding leaves over.
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (upTo[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
