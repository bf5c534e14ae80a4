import { Module } from '@nestjs/common';
import { FeedController } from './feed.controller.js';
import { FeedRepository } from './feed.repository.js';

/** Reads what happened. */
@Module({ controllers: [FeedController], providers: [FeedRepository] })
export class FeedModule {}
