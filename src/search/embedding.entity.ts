import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** What is known of the embedding of a part of a text. The vector itself is in the vector store. */
@Entity('text_vectors')
@Check('text_vectors_kind', `kind in ('message', 'entry')`)
@Check('text_vectors_state', `state in ('due', 'waiting', 'answered', 'stored', 'refused', 'gone')`)
@Index('text_vectors_open', ['state', 'taken_until'], { where: `state in ('due', 'answered', 'gone')` })
@Index('text_vectors_waiting', ['place_key'], { where: `state = 'waiting'` })
export class TextVector {
  /** of the session, or of the user */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'text_vectors_pkey' })
  place_key!: number;

  /** seq of the message, or key of the entry */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'text_vectors_pkey' })
  item!: number;

  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'text_vectors_pkey' })
  kind!: 'message' | 'entry';

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'text_vectors_pkey' })
  part!: number;

  /** as text: a double would round it */
  @Column('bigint')
  owner!: string;

  /** of the entry that is embedded; messages never change */
  @Column('bigint')
  version!: number;

  /** `waiting`: due, but its session is deleted; `answered`: kept here until the store has it; `refused`: no vector is to be had; `gone`: to be removed from the store */
  @Column('text')
  state!: 'due' | 'waiting' | 'answered' | 'stored' | 'refused' | 'gone';

  /** 32-bit floats, while it is answered and not stored */
  @Column({ type: 'bytea', nullable: true })
  vector!: Buffer | null;

  /** where the store has, or may have, a point of it; the last is where it belongs */
  @Column({ type: 'text', array: true, default: [] })
  spaces!: string[];

  /** a process is at it until then */
  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  taken_until!: Date | null;
}
