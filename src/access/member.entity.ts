import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A collaborator of a session; its owner stands in the session's own row. */
@Entity('members')
@Check('members_role', `role in ('viewer', 'editor', 'manager')`)
@Index('members_user', ['user_id', 'session_key'])
export class Member {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'members_pkey' })
  session_key!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'members_pkey', collation: 'C' })
  user_id!: string;

  @Column('text')
  role!: 'viewer' | 'editor' | 'manager';

  @Column({ type: 'text', nullable: true, collation: 'C' })
  added_by!: string | null;

  @Column({ type: 'timestamptz', precision: 3 })
  added_at!: Date;
}
