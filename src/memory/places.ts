import { Param } from '@nestjs/common';
import type { OperationSpec } from '../http/operation.js';
import { sessionId, userId } from '../sessions/sessions.schemas.js';
import type { Place } from './memory.repository.js';
import {
  clearSessionMemory,
  clearUserMemory,
  getSessionMemory,
  getUserMemory,
  listSessionMemory,
  listUserMemory,
} from './memory.schemas.js';

/** A kind of place that memory is kept in, as its routes differ from those of the other kind. */
export interface PlaceRoutes {
  path: string;
  /** in operation ids */
  whose: 'User' | 'Session';
  reads: Pick<OperationSpec, 'scope' | 'ofUser' | 'permission'>;
  writes: Pick<OperationSpec, 'scope' | 'ofUser' | 'permission'>;
  list: typeof listUserMemory | typeof listSessionMemory;
  get: typeof getUserMemory | typeof getSessionMemory;
  clear: typeof clearUserMemory | typeof clearSessionMemory;
  /** binds the id in the path */
  Id: () => ParameterDecorator;
  placeOf: (id: string) => Place;
}

export const OF_USER: PlaceRoutes = {
  path: 'users/:user_id/memory',
  whose: 'User',
  reads: { scope: 'memory:read', ofUser: true },
  writes: { scope: 'memory:write', ofUser: true },
  ...{ list: listUserMemory, get: getUserMemory, clear: clearUserMemory },
  Id: () => Param('user_id', { schema: userId }),
  placeOf: (id) => ({ scope: 'user', id }),
};

export const OF_SESSION: PlaceRoutes = {
  path: 'sessions/:session_id/memory',
  whose: 'Session',
  reads: { scope: 'memory:read', permission: 'read' },
  writes: { scope: 'memory:write', permission: 'work' },
  ...{ list: listSessionMemory, get: getSessionMemory, clear: clearSessionMemory },
  Id: () => Param('session_id', { schema: sessionId }),
  placeOf: (id) => ({ scope: 'session', id }),
};
