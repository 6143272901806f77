// Transactions that were never run, as rows: copies of those that a real one has left behind, each with its own id, time, order, customer and goods.

export interface Column {
  readonly name: string;
  /** As information_schema calls it. */
  readonly type: string;
  /** Of JSON: none of the pattern's rows tells its order, customer or goods here, so that all copies have the same. */
  readonly isPlain?: boolean;
}

/** The transaction whose rows are copied. */
export interface Pattern {
  readonly txid: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly sku: string;
}

/** Numbers from `from` to `to - 1`, of this population: the same number is the same transaction in every database. */
export interface Population {
  /** Begins the order ids. */
  readonly prefix: string;
  readonly from: number;
  readonly to: number;
  /** Of number 0; each later one comes `stepMs` later. */
  readonly fromMs: number;
  readonly stepMs: number;
  readonly shards: readonly number[];
}

/** Of the seed data: they take turns. */
const SEEDED = 10_000;
const DEADLINE_MS = 30_000;

export function orderIdOf(prefix: string, i: number): string {
  return `${prefix}-${String(i).padStart(9, '0')}`;
}

/** Rows (i, ms, shard, txid, key, order_id, customer_id, sku), one for each transaction. OFFSET 0: they are worked out once. */
export function numbersSql({ prefix, from, to, fromMs, stepMs, shards }: Population): string {
  return `(
    SELECT i, ms, shard, order_id, customer_id, sku, (overlay(id PLACING '8' || lpad(to_hex(shard), 3, '0') FROM 15 FOR 4))::uuid AS txid, overlay(id PLACING '7' FROM 15 FOR 1) AS key
      FROM (
        SELECT *, substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-' || substr(noise, 1, 4) || '-8' || substr(noise, 5, 3) || '-' || substr(noise, 8, 12) AS id
          FROM (
            SELECT i, ms, lpad(to_hex(ms), 12, '0') AS hex, md5('${prefix}' || i) AS noise, (ARRAY[${shards.join(', ')}])[1 + i % ${shards.length}] AS shard,
                   '${prefix}-' || lpad(i::text, 9, '0') AS order_id, 'c-' || (1 + i % ${SEEDED}) AS customer_id, 's-' || (1 + i % ${SEEDED}) AS sku
              FROM (SELECT i::int AS i, ${fromMs}::bigint + floor(i * ${stepMs}::float8)::bigint AS ms FROM generate_series(${from}, ${to - 1}) AS i) AS numbers) AS parts) AS ids
    OFFSET 0) AS n`;
}

/**
 * Copies of one table's rows for all of a population.
 * @param of the pattern's rows
 * @param overrides SQL of columns that are not as in the pattern
 */
export function copySql(table: string, columns: readonly Column[], of: string, pattern: Pattern, population: Population, overrides: Readonly<Record<string, string>> = {}): string {
  return `INSERT INTO ${table} (${columns.map(({ name }) => `"${name}"`).join(', ')})
  SELECT ${columns.map((column) => overrides[column.name] ?? valueSql(column, pattern)).join(', ')}
    FROM ${numbersSql(population)} CROSS JOIN (SELECT * FROM ${table} WHERE ${of}) AS p ORDER BY n.i`;
}

function valueSql({ name, type, isPlain }: Column, { orderId, customerId, sku }: Pattern): string {
  switch (name) {
    case 'txid': return 'n.txid';
    case 'shard': return 'n.shard';
    case 'key':
    case 'idempotency_key': return 'n.key';
    case 'id':
    case 'order_id': return 'n.order_id';
    case 'customer_id': return 'n.customer_id';
    case 'sku': return 'n.sku';
    case 'deadline_at': return `to_timestamp((n.ms + ${DEADLINE_MS}) / 1000.0)`;
  }
  if (type === 'timestamp with time zone') return 'to_timestamp(n.ms / 1000.0)';
  if (isPlain === true || (type !== 'json' && type !== 'jsonb')) return `p."${name}"`;
  const told = [[`"${orderId}"`, 'n.order_id'], [`"${customerId}"`, 'n.customer_id'], [`"${sku}"`, 'n.sku']] as const;
  return `${told.reduce((sql, [text, by]) => `replace(${sql}, '${text}', '"' || ${by} || '"')`, `p."${name}"::text`)}::${type}`;
}

/** Money or goods of a population leave what is free: for the held column, or for the ledger. @param held null: they are gone */
export function takeSql(table: 'account' | 'stock', population: Population, isHeld: boolean): string {
  const [key, free, held] = table === 'account' ? ['customer_id', 'balance_cents', 'held_cents'] : ['sku', 'available', 'reserved'];
  return `UPDATE ${table} AS t SET ${free} = ${free} - taken${isHeld ? `, ${held} = ${held} + taken` : ''}
    FROM (SELECT ${key}, count(*) AS taken FROM ${numbersSql(population)} GROUP BY ${key}) AS d WHERE t.${key} = d.${key}`;
}

export function openSql(population: Population): string {
  return `INSERT INTO tx_open (shard, txid) SELECT shard, txid FROM ${numbersSql(population)} ORDER BY i`;
}
