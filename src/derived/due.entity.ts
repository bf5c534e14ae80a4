import { Column, Entity, Generated, Index, PrimaryColumn } from 'typeorm';

/** What is to be derived from once more: messages of a session, or an entry of memory. */
@Entity('derived_due')
@Index('derived_due_place', ['place_key', 'memory_id'])
export class Due {
  @PrimaryColumn({
    type: 'bigint',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'derived_due_pkey',
  })
  @Generated('identity' as 'increment')
  n!: number;

  /** of the session, or of the user */
  @Column('bigint')
  place_key!: number;

  @Column({ type: 'bigint', nullable: true })
  from_seq!: number | null;

  @Column({ type: 'bigint', nullable: true })
  to_seq!: number | null;

  @Column({ type: 'uuid', nullable: true })
  memory_id!: string | null;
}
