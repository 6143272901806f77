/**
 * For FROM: the keys of $1, in their order, with the amounts of $2. The LIMIT cuts nothing off, but the planner cannot know: it takes the rows for few
 * whatever $1 is. So it looks each row up by the key's index, in the order of the keys, and keeps that plan, where it would plan `= ANY($1)`
 * anew every time, at more than what a small batch takes to run.
 */
export const WISHES = '(SELECT * FROM unnest($1::text[], $2::bigint[]) AS w (key, amount) LIMIT (SELECT cardinality($1::text[]))) AS d';
