import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '../column.js';

@Entity('account')
export class Account {
  @PrimaryColumn({ name: 'customer_id', type: 'text' })
  customerId: string;

  @Column({ name: 'balance_cents', type: 'bigint', transformer: bigintAsNumber })
  balanceCents: number;

  /** Taken out of the balance by prepared debits. */
  @Column({ name: 'held_cents', type: 'bigint', transformer: bigintAsNumber })
  heldCents: number;
}
