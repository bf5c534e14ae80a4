import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How far the messages of a session are in its sums; whoever changes these holds the row. */
@Entity('message_folds')
export class MessageFold {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'message_folds_pkey' })
  session_key!: number;

  @Column('bigint')
  folded_seq!: number;
}

/** What the messages of a session up to `folded_seq` come to: of a role, a model (empty: of none), or a day in UTC. */
@Entity('message_sums')
export class MessageSum {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'message_sums_pkey' })
  session_key!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'message_sums_pkey' })
  kind!: 'role' | 'model' | 'day';

  @PrimaryColumn('text', { primaryKeyConstraintName: 'message_sums_pkey', collation: 'C' })
  name!: string;

  @Column('bigint')
  messages!: number;

  @Column('bigint')
  tokens!: number;

  @Column('numeric')
  cost!: string;
}
