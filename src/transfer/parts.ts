import { Injectable } from '@nestjs/common';
import type { Part } from './part.js';
import { CheckpointsPart } from './parts/checkpoints.part.js';
import { MemoryPart } from './parts/memory.part.js';
import { MessagesPart } from './parts/messages.part.js';
import { PointsPart } from './parts/points.part.js';
import { StatsPart } from './parts/stats.part.js';

/** Everything a session is carried with, in the order in which it is written and read; `INCLUDES` has their names. */
@Injectable()
export class Parts {
  readonly all: readonly Part[];

  constructor(
    checkpoints: CheckpointsPart,
    messages: MessagesPart,
    memory: MemoryPart,
    points: PointsPart,
    stats: StatsPart,
  ) {
    this.all = [checkpoints, messages, memory, points, stats];
  }
}
