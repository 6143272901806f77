// Numbers for people.

const rounded = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const padded = new Intl.NumberFormat('en-US', { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Three significant digits, as no measurement here deserves more; `-` where there is nothing. */
export function figure(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '-';
  if (value === 0) return '0';
  return Math.abs(value) < 100 ? padded.format(value) : rounded.format(value);
}

/** Of things that were counted one by one. */
export function count(value: number): string {
  return whole.format(value);
}

/** @param share 0.5 is 50 % */
export function percent(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return '-';
  const digits = share !== 0 && Math.abs(share) < 0.1 ? 1 : 0;
  return `${(share * 100).toFixed(digits)} %`;
}
