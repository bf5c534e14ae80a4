import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { OwnPolicy } from './policies.schemas.js';

/** The policy of a user, or of the service, whose name is empty. */
@Entity('retention_policies')
export class RetentionPolicy {
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'retention_policies_pkey' })
  user_id!: string;

  /** what is not named is inherited; the service's names everything */
  @Column('jsonb')
  policy!: OwnPolicy;

  @Column('integer')
  version!: number;

  @Column({ type: 'timestamptz', precision: 3 })
  updated_at!: Date;
}
