import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { StartupError } from '../common/startup-error.js';
import { type Handler, kindHandledBy } from './job-handler.js';
import type { JobRow } from './jobs.schemas.js';
import { KINDS, type Kinds } from './kinds.js';

/** The handlers of all rooms, by kind. */
@Injectable()
export class Handlers implements OnApplicationBootstrap {
  private readonly byKind = new Map<string, Handler>();

  constructor(
    private readonly discovery: DiscoveryService,
    @Inject(KINDS) private readonly kinds: Kinds,
  ) {}

  /** @throws StartupError when a kind has no handler or two, or a handler is of no kind there is */
  onApplicationBootstrap(): void {
    for (const { metatype, instance } of this.discovery.getProviders()) {
      const kind = metatype ? kindHandledBy(metatype) : undefined;
      if (kind !== undefined && instance) this.add(kind, instance);
    }
    const missing = Object.keys(this.kinds).filter((kind) => !this.byKind.has(kind));
    if (missing.length) throw new StartupError(`jobs of the kind ${missing.join(', ')} have no handler`);
  }

  get(kind: string): Handler {
    return this.byKind.get(kind)!;
  }

  /** Within the transaction in which it ended: what it held is free again, unless it succeeded. */
  async settle(job: JobRow): Promise<void> {
    if (job.state === 'failed' || job.state === 'cancelled') await this.byKind.get(job.kind)?.abandon?.(job);
  }

  private add(kind: string, handler: Handler): void {
    if (!(kind in this.kinds))
      throw new StartupError(`jobs of the kind ${kind} have a handler but are not in JOB_KINDS`);
    if (this.byKind.has(kind)) throw new StartupError(`jobs of the kind ${kind} have two handlers`);
    this.byKind.set(kind, handler);
  }
}
