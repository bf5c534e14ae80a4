import pg from 'pg';
import { withOption } from '../../src/database/address.js';

/** What a client makes of the address. */
const readBy = (address: string) => new pg.Client(withOption(address, '-c jit=off'));

test('an address keeps what it says, and has one option more', () => {
  const { host, port, user, password, database } = readBy(
    'postgres://me:p%40s%25s@db.example:6000/some%20name',
  );
  expect({ host, port, user, password, database }).toEqual({
    ...{ host: 'db.example', port: 6000, user: 'me', password: 'p@s%s', database: 'some name' },
  });
  expect(readBy('postgres:///name?host=/run/postgresql')).toMatchObject({
    host: '/run/postgresql',
    database: 'name',
  });
});

test('options that it has stay, before the new one', () => {
  const options = (address: string) => new URL(withOption(address, '-c b=2')).searchParams.get('options');
  expect(options('postgres://h/d')).toBe('-c b=2');
  expect(options('postgres://h/d?options=-c%20a%3D1&sslmode=disable')).toBe('-c a=1 -c b=2');
  expect(new pg.Client(withOption('postgres://h/d?options=-c%20a%3D1', '-c b=2'))).toMatchObject({
    connectionParameters: { options: '-c a=1 -c b=2' },
  });
});
