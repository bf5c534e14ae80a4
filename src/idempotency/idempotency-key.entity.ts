import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A key that had its effect: digest of the body, status and the ids made; no content. */
@Entity('idempotency_keys')
export class IdempotencyKey {
  /** derived from caller, route and key */
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'idempotency_keys_pkey' })
  id!: string;

  @Column('text')
  digest!: string;

  @Column({ type: 'integer', nullable: true })
  status!: number | null;

  @Column({ type: 'bigint', array: true, nullable: true })
  ids!: number[] | null;

  @Index('idempotency_keys_created')
  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;
}
