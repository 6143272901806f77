import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '../column.js';

/** pending: prepared, or placed by a saga that may still be compensated. confirmed: for good. rejected: aborted or compensated; the id may be used again. */
export type OrderStatus = 'pending' | 'confirmed' | 'rejected';

@Entity('orders')
export class Order {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ name: 'customer_id', type: 'text' })
  customerId: string;

  @Column({ type: 'text' })
  sku: string;

  @Column({ type: 'integer' })
  quantity: number;

  @Column({ name: 'amount_cents', type: 'bigint', transformer: bigintAsNumber })
  amountCents: number;

  @Column({ type: 'text' })
  status: OrderStatus;
}
