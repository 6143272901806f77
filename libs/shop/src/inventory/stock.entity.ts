import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from '../column.js';

@Entity('stock')
export class Stock {
  @PrimaryColumn({ type: 'text' })
  sku: string;

  @Column({ type: 'bigint', transformer: bigintAsNumber })
  available: number;

  /** Taken out of what is available by prepared reservations. */
  @Column({ type: 'bigint', transformer: bigintAsNumber })
  reserved: number;
}
