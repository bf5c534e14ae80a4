import { Injectable } from '@nestjs/common';
import { messageRecord, sizeOf, toRecord } from '../../messages/message-record.js';
import { MessageTransferRepository, type SizedMessage } from '../../messages/message-transfer.repository.js';
import { HiddenSessionsService } from '../../sessions/hidden-sessions.service.js';
import type { SessionRow } from '../../sessions/session.view.js';
import type { SessionRecord } from '../../sessions/session-record.js';
import type { Typed } from '../format.js';
import { fault, type Opened, type Part, parsed, type Reader } from '../part.js';

@Injectable()
export class MessagesPart implements Part {
  readonly name = 'messages';
  readonly scopes = { read: 'sessions:read', write: 'sessions:write' } as const;
  readonly types = ['message'];

  constructor(
    private readonly hidden: HiddenSessionsService,
    private readonly rows: MessageTransferRepository,
  ) {}

  /** What is appended from now on is not in it. */
  async open({ key, message_count: last }: SessionRow): Promise<Opened> {
    return { count: last, pages: () => this.pages(key, last) };
  }

  private async *pages(session: number, last: number) {
    for (let after = 0; after < last; ) {
      const page = await this.rows.findPage(session, after, last);
      if (page[0]?.seq !== after + 1) throw new Error(`message ${after + 1} of session ${session} is gone`);
      yield page.map(toRecord);
      after = page.at(-1)!.seq;
    }
  }

  reader(): Reader {
    return new MessagesReader((session, messages, seconds) =>
      this.hidden.write(session, seconds, () => this.rows.insert(session, messages)),
    );
  }
}

class MessagesReader implements Reader {
  private seq = 0;
  private time = '';

  constructor(readonly write: (session: number, taken: SizedMessage[], seconds: number) => Promise<void>) {}

  take(record: Typed): SizedMessage {
    const message = parsed(messageRecord, record);
    if (message.seq !== this.seq + 1) throw fault('/seq', `must be ${this.seq + 1}`);
    // pages, windows and the next append rely on it
    if (message.created_at < this.time) throw fault('/created_at', 'is before that of the message before');
    this.seq = message.seq;
    this.time = message.created_at;
    return { ...message, bytes: sizeOf(message) };
  }

  /** A title is made from a message that is there. */
  end({ title_seq }: SessionRecord): void {
    if ((title_seq ?? 0) > this.seq) throw fault('/title_seq', 'names no message that is there');
  }
}
