import { checkAgainstContract } from './contract.js';

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
  text: string;
}

export interface Call {
  body?: unknown;
  headers?: Record<string, string>;
  /** sent as it is, instead of `body` as JSON */
  raw?: string | Uint8Array;
}

/** Calls the service over HTTP; every answer is held against openapi.json, and what it does not document throws. */
export class Api {
  constructor(
    readonly url: string,
    private readonly headers: Record<string, string> = {},
  ) {}

  /** The same service with these headers on every call. */
  with(headers: Record<string, string>): Api {
    return new Api(this.url, { ...this.headers, ...headers });
  }

  as(user: string): Api {
    return this.with({ 'x-user-id': Buffer.from(user, 'utf8').toString('latin1') });
  }

  service(key: string): Api {
    return this.with({ 'x-api-key': key });
  }

  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(this.url + path, {
      method,
      headers: { ...type, ...this.headers, ...call.headers },
      body: body as string | undefined,
      redirect: 'manual',
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
    const answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
    checkAgainstContract(method, path, answer);
    return answer;
  }

  get = (path: string, call?: Call) => this.call('GET', path, call);
  post = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.call('POST', path, { body, headers });
  put = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.call('PUT', path, { body, headers });
  patch = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.call('PATCH', path, { body, headers });
  delete = (path: string, headers?: Record<string, string>) => this.call('DELETE', path, { headers });
}
