import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What a session counted for when it was last folded; none: it does not count. */
@Entity('session_totals')
export class SessionTotals {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'session_totals_pkey' })
  session_key!: number;

  @Column('text')
  status!: string;

  @Column('bigint')
  messages!: number;

  @Column('bigint')
  tokens!: number;

  @Column({ type: 'numeric', precision: 20, scale: 10 })
  cost!: number;
}

/** The sum of all sessions of a status. */
@Entity('service_totals')
export class ServiceTotals {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'service_totals_pkey' })
  status!: string;

  @Column('bigint')
  sessions!: number;

  @Column('bigint')
  messages!: number;

  @Column('numeric')
  tokens!: number;

  @Column('numeric')
  cost!: number;
}
