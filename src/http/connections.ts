import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { ofFramework } from './problem.filter.js';
import { sendProblem } from './problem.js';

/** Stopping ends each connection as soon as it owes no answer, and none before its last answer has been sent. */
export function drainConnections(fastify: FastifyInstance): void {
  const owed = new Map<Socket, number>();
  let isClosing = false;
  fastify.server.on('connection', (socket: Socket) => {
    owed.set(socket, 0);
    socket.once('close', () => owed.delete(socket));
  });
  // Node's own takes a connection for idle once its answer is written, though most of it may wait to be sent
  fastify.server.closeIdleConnections = () => {
    for (const [socket, answers] of owed) if (answers === 0) socket.destroy();
  };
  const settle = (socket: Socket, answers: number) => {
    if (!owed.has(socket)) return;
    owed.set(socket, owed.get(socket)! + answers);
    if (isClosing && owed.get(socket) === 0) socket.end();
  };
  fastify.addHook('onRequest', (request, reply, done) => {
    const { socket } = request.raw;
    reply.raw.once('finish', () => settle(socket, -1));
    settle(socket, 1);
    if (isClosing) sendProblem(request, reply, ofFramework({ statusCode: 503 }));
    else done();
  });
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    // said before answers that stand in line behind this one, it would cut them off
    if (isClosing && owed.get(request.raw.socket) === 1) reply.header('connection', 'close');
    done();
  });
  fastify.addHook('preClose', (done) => {
    isClosing = true;
    done();
  });
}
