import { Module } from '@nestjs/common';
import { EventsModule } from '../events/events.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { FeedController } from './feed.controller.js';
import { FeedRepository } from './feed.repository.js';
import { NewsRepository } from './news.repository.js';
import { OldEvents } from './old-events.js';
import { OldEventsRepository } from './old-events.repository.js';
import { OpenStreams } from './open-streams.js';
import { Publisher } from './publisher.js';
import { PublishingRepository } from './publishing.repository.js';
import { Reading } from './reading.js';
import { SessionStreams } from './session-streams.js';
import { StreamsOfAll } from './streams-of-all.js';
import { Watching } from './watching.js';

/** Reads what happened: in pages, as it happens, for those who listen on Redis; and forgets it after its time. */
@Module({
  imports: [EventsModule, JobsModule],
  controllers: [FeedController],
  providers: [
    FeedRepository,
    NewsRepository,
    Watching,
    Reading,
    OpenStreams,
    SessionStreams,
    StreamsOfAll,
    PublishingRepository,
    Publisher,
    OldEventsRepository,
    OldEvents,
  ],
})
export class FeedModule {}
