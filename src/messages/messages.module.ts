import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { SessionsModule } from '../sessions/sessions.module.js';
import { History } from './history.js';
import { Message, ToolCall } from './message.entity.js';
import { MessageCopiesRepository } from './message-copies.repository.js';
import { MessageEditsController } from './message-edits.controller.js';
import { MessageEditsRepository } from './message-edits.repository.js';
import { MessageEditsService } from './message-edits.service.js';
import { MessageErasureRepository } from './message-erasure.repository.js';
import { MessageFold, MessageSum } from './message-sums.entity.js';
import { MessageSums } from './message-sums.js';
import { MessageTransferRepository } from './message-transfer.repository.js';
import { MessagesController } from './messages.controller.js';
import { MessagesRepository } from './messages.repository.js';
import { MessagesService } from './messages.service.js';
import { SessionController } from './session.controller.js';

/** The history of a session. */
@Module({
  imports: [TypeOrmModule.forFeature([Message, ToolCall, MessageFold, MessageSum]), SessionsModule],
  controllers: [MessagesController, MessageEditsController, SessionController],
  providers: [
    MessagesRepository,
    History,
    MessageCopiesRepository,
    MessageTransferRepository,
    MessagesService,
    MessageEditsRepository,
    MessageEditsService,
    MessageSums,
    MessageErasureRepository,
  ],
  exports: [
    MessagesService,
    History,
    MessageSums,
    MessagesRepository,
    MessageCopiesRepository,
    MessageTransferRepository,
    MessageErasureRepository,
  ],
})
export class MessagesModule {}
