import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { systemClock } from '@dmg/base';

/** One Redis command over a connection of its own; the raw reply. */
export async function redisCommand(url: string, ...words: string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString('utf8').trim();
  } finally {
    socket.destroy();
  }
}

/**
 * One request to the blob service, signed with the account's shared key. Source: "Authorize with Shared Key" of the Azure Storage
 * REST reference.
 */
export async function blobRequest(
  connectionString: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  const field = (name: string): string => new RegExp(`${name}=([^;]+)`).exec(connectionString)?.[1] ?? '';
  const url = new URL(`${field('BlobEndpoint')}/${path}`);
  const account = field('AccountName');
  const headers: Record<string, string> = {
    'x-ms-date': new Date(systemClock.wallMs()).toUTCString(),
    'x-ms-version': '2026-10-06',
    ...(body === undefined || method === 'GET' ? {} : { 'x-ms-blob-type': 'BlockBlob' }),
  };
  const canonicalHeaders = Object.keys(headers).sort().map((name) => `${name}:${headers[name]}`).join('\n');
  const query = [...url.searchParams].map(([name, value]) => `\n${name}:${value}`).join('');
  const contentType = body === undefined ? '' : 'text/plain';
  const length = body === undefined || body === '' ? '' : String(Buffer.byteLength(body));
  const toSign = [method, '', '', length, '', contentType, '', '', '', '', '', ''].join('\n');
  const text = `${toSign}\n${canonicalHeaders}\n/${account}${url.pathname}${query}`;
  const signature = createHmac('sha256', Buffer.from(field('AccountKey'), 'base64')).update(text, 'utf8').digest('base64');
  const response = await fetch(url, {
    method,
    headers: {
      ...headers,
      authorization: `SharedKey ${account}:${signature}`,
      ...(contentType === '' ? {} : { 'content-type': contentType }),
    },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, text: await response.text() };
}
