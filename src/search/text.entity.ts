import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';

/** The words of a part of a message, as they are searched. Which text it is of is found in the message. */
@Entity('message_texts')
@Index('message_texts_words', ['owner', 'place_key', 'words'], { type: 'gin' })
export class MessageText {
  /** of the session */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'message_texts_pkey' })
  place_key!: number;

  /** seq of the message */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'message_texts_pkey' })
  item!: number;

  /** from 0: a long text is cut into parts */
  @PrimaryColumn('integer', { primaryKeyConstraintName: 'message_texts_pkey' })
  part!: number;

  /** a number for whoever owns the session: narrows what is looked at, proves nothing */
  @Column('bigint')
  owner!: number;

  @Column('tsvector')
  words!: string;
}

/** …of an entry of memory. It is good for one version of the entry, and goes with it. */
@Entity('memory_texts')
@Index('memory_texts_words', ['owner', 'place_key', 'words'], { type: 'gin' })
@Index('memory_texts_place', ['place_key'])
export class MemoryText {
  /** of the session, or of the user */
  @Column('bigint')
  place_key!: number;

  /** key of the entry */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'memory_texts_pkey' })
  item!: number;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'memory_texts_pkey' })
  part!: number;

  @Column('bigint')
  owner!: number;

  @Column('tsvector')
  words!: string;

  @Column('bigint')
  version!: number;

  @ManyToOne('MemoryEntry', { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'item', foreignKeyConstraintName: 'memory_texts_entry' })
  entry?: unknown;
}

/** The one row names the text search configuration that the texts were read with. */
@Entity('search_language')
export class SearchLanguageRow {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'search_language_pkey' })
  language!: string;
}
