import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Event } from './event.entity.js';
import { EventsRepository } from './events.repository.js';
import { StreamPosition } from './stream-position.entity.js';

/** What happened, numbered: written in the transaction of each change. */
@Module({
  imports: [TypeOrmModule.forFeature([Event, StreamPosition])],
  providers: [EventsRepository],
  exports: [EventsRepository],
})
export class EventsModule {}
