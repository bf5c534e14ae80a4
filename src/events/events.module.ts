import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Event } from './event.entity.js';
import { EventBus } from './event-bus.js';
import { EventClockRow } from './event-clock.entity.js';
import { EventClock } from './event-clock.js';
import { EventErasureRepository } from './event-erasure.repository.js';
import { EventsRepository } from './events.repository.js';
import { StreamPosition } from './stream-position.entity.js';
import { User } from './user.entity.js';
import { Users } from './users.js';

/** What happened, numbered: written in the transaction of each change. */
@Module({
  imports: [TypeOrmModule.forFeature([Event, StreamPosition, EventClockRow, User])],
  providers: [EventsRepository, EventErasureRepository, Users, EventClock, EventBus],
  exports: [EventsRepository, EventErasureRepository, Users, EventBus],
})
export class EventsModule {}
