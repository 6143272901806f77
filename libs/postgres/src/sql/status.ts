/**
 * The status of a transaction as `storedView` shows it, of `tx_begin b`, its decision `d` and its end `e`. The decision speaks first, except
 * in a saga, whose outcome is its end; one that ended without a decision takes its outcome from the end.
 */
export const STATUS = `
  CASE WHEN b.protocol <> 'saga' THEN CASE d.decision WHEN 'COMMIT' THEN 'committed' WHEN 'ABORT' THEN 'aborted' ELSE coalesce(e.outcome, 'pending') END
       WHEN e.txid IS NOT NULL THEN e.outcome
       WHEN EXISTS (SELECT FROM tx_progress a WHERE a.txid = b.txid AND a.kind = 'ATTENTION') THEN 'needs-attention'
       WHEN d.decision = 'ABORT' THEN 'compensating'
       ELSE 'running' END`;
