import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A block-blob store that throws the bytes away, for measuring what a client can do when the store is not the limit. It keeps names,
 * block lists, sizes, ETags and metadata, and small blobs whole; a large blob reads back as zeros. Stricter than Azurite where Azure is:
 * all block ids of a blob have one length, and a commit or Put Blob drops every uncommitted block. It checks no signature.
 * REST reference: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
 */
interface Blob {
  etag: string;
  bytes: number;
  modified: string;
  content: Buffer | undefined;
  metadata: Record<string, string>;
  committed: { id: string; bytes: number }[];
}

const keptBytesMax = 8 * 1024 * 1024;
const zeros = Buffer.alloc(1024 * 1024);
const blobs = new Map<string, Blob>();
const staged = new Map<string, Map<string, number>>();
const containers = new Set<string>();
let sequence = 0;

class StorageError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

/** Reads the body; keeps it only when `keep` says so. */
async function readBody(request: IncomingMessage, keep: boolean): Promise<{ bytes: number; content: Buffer | undefined }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (keep && bytes <= keptBytesMax) chunks.push(chunk);
  }
  return { bytes, content: keep && bytes <= keptBytesMax ? Buffer.concat(chunks) : undefined };
}

function checkConditions(request: IncomingMessage, blob: Blob | undefined): void {
  const match = request.headers['if-match'];
  const noneMatch = request.headers['if-none-match'];
  if (match !== undefined && (blob === undefined || (match !== '*' && match !== blob.etag))) throw new StorageError(412, 'ConditionNotMet');
  if (noneMatch === '*' && blob !== undefined) throw new StorageError(409, 'BlobAlreadyExists');
}

function metadataOf(request: IncomingMessage): Record<string, string> {
  const found = Object.entries(request.headers).filter(([name]) => name.startsWith('x-ms-meta-'));
  return Object.fromEntries(found.map(([name, value]) => [name, String(value)]));
}

function store(key: string, content: Pick<Blob, 'bytes' | 'content' | 'metadata' | 'committed'>): Blob {
  const blob = { ...content, etag: `"0x${(++sequence).toString(16)}"`, modified: new Date().toUTCString() };
  blobs.set(key, blob);
  staged.delete(key);
  return blob;
}

function blobHeaders(blob: Blob): Record<string, string> {
  return {
    etag: blob.etag, 'last-modified': blob.modified, 'x-ms-blob-type': 'BlockBlob', 'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream', 'x-ms-creation-time': blob.modified, ...blob.metadata,
  };
}

async function putBlock(key: string, query: URLSearchParams, request: IncomingMessage): Promise<void> {
  const id = query.get('blockid') ?? '';
  const { bytes } = await readBody(request, false);
  const blocks = staged.get(key) ?? new Map<string, number>();
  const [known] = [...blocks.keys(), ...(blobs.get(key)?.committed ?? []).map((block) => block.id)];
  if (known !== undefined && known.length !== id.length) throw new StorageError(400, 'InvalidBlobOrBlock');
  blocks.set(id, bytes);
  staged.set(key, blocks);
}

async function putBlockList(key: string, request: IncomingMessage): Promise<Blob> {
  const { content } = await readBody(request, true);
  const existing = blobs.get(key);
  checkConditions(request, existing);
  const ids = [...(content?.toString() ?? '').matchAll(/<(Latest|Committed|Uncommitted)>([^<]+)</g)].map((found) => found[2] ?? '');
  const committedBefore = (existing?.committed ?? []).map((block): [string, number] => [block.id, block.bytes]);
  const known = new Map([...committedBefore, ...(staged.get(key) ?? [])]);
  const committed = ids.map((id) => {
    const bytes = known.get(id);
    if (bytes === undefined) throw new StorageError(400, 'InvalidBlockList');
    return { id, bytes };
  });
  const bytes = committed.reduce((sum, block) => sum + block.bytes, 0);
  return store(key, { bytes, content: undefined, metadata: metadataOf(request), committed });
}

function blockListXml(key: string): string {
  const list = (name: string, blocks: Iterable<{ id: string; bytes: number }>): string =>
    `<${name}>${[...blocks].map((block) => `<Block><Name>${block.id}</Name><Size>${block.bytes}</Size></Block>`).join('')}</${name}>`;
  const uncommitted = [...(staged.get(key) ?? [])].map(([id, bytes]) => ({ id, bytes }));
  if (!blobs.has(key) && uncommitted.length === 0) throw new StorageError(404, 'BlobNotFound');
  const lists = `${list('CommittedBlocks', blobs.get(key)?.committed ?? [])}${list('UncommittedBlocks', uncommitted)}`;
  return `<?xml version="1.0" encoding="utf-8"?><BlockList>${lists}</BlockList>`;
}

function listXml(container: string, prefix: string): string {
  const entries = [...blobs].filter(([key]) => key.startsWith(`${container}/${prefix}`)).sort(([a], [b]) => (a < b ? -1 : 1));
  const xml = entries.map(([key, blob]) =>
    `<Blob><Name>${key.slice(container.length + 1)}</Name><Properties><Etag>${blob.etag}</Etag>` +
    `<Last-Modified>${blob.modified}</Last-Modified><Content-Length>${blob.bytes}</Content-Length>` +
    '<BlobType>BlockBlob</BlobType></Properties></Blob>');
  return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>${xml.join('')}</Blobs><NextMarker/></EnumerationResults>`;
}

function sendContent(blob: Blob, request: IncomingMessage, response: ServerResponse): void {
  const range = /bytes=(\d+)-(\d*)/.exec(String(request.headers['x-ms-range'] ?? request.headers['range'] ?? ''));
  const start = range === null ? 0 : Number(range[1]);
  const end = Math.min(blob.bytes, range?.[2] ? Number(range[2]) + 1 : blob.bytes);
  if (range !== null && start >= blob.bytes) throw new StorageError(416, 'InvalidRange');
  const headers = { ...blobHeaders(blob), 'content-length': String(end - start) };
  if (range === null) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${end - 1}/${blob.bytes}` });
  if (blob.content !== undefined) return void response.end(blob.content.subarray(start, end));
  let left = end - start;
  const more = (): void => {
    while (left > 0) {
      const part = zeros.subarray(0, Math.min(zeros.length, left));
      left -= part.length;
      if (!response.write(part)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, , container = '', ...rest] = decodeURIComponent(url.pathname).split('/');
  const query = url.searchParams;
  const key = `${container}/${rest.join('/')}`;
  const answer = (status: number, headers: Record<string, string> = {}, body = ''): void => {
    response.writeHead(status, { 'x-ms-version': '2024-11-04', 'x-ms-request-id': 'none', ...headers }).end(body);
  };
  const kind = `${request.method} ${query.get('restype') ?? ''} ${query.get('comp') ?? ''}`.trim().replaceAll(/\s+/g, ' ');
  const blob = blobs.get(key);
  switch (kind) {
    case 'PUT container': {
      await readBody(request, false);
      const existed = containers.has(container);
      containers.add(container);
      if (existed) throw new StorageError(409, 'ContainerAlreadyExists');
      return answer(201, { etag: '"0x1"', 'last-modified': new Date().toUTCString() });
    }
    case 'HEAD container':
    case 'GET container':
      if (!containers.has(container)) throw new StorageError(404, 'ContainerNotFound');
      return answer(200, { etag: '"0x1"', 'last-modified': new Date().toUTCString() });
    case 'GET container list':
      return answer(200, { 'content-type': 'application/xml' }, listXml(container, query.get('prefix') ?? ''));
    case 'PUT block':
      await putBlock(key, query, request);
      return answer(201, { 'x-ms-request-server-encrypted': 'true' });
    case 'PUT blocklist': {
      const { etag, modified } = await putBlockList(key, request);
      return answer(201, { etag, 'last-modified': modified });
    }
    case 'GET blocklist':
      return answer(200, { 'content-type': 'application/xml', ...(blob === undefined ? {} : { etag: blob.etag }) }, blockListXml(key));
    case 'PUT': {
      const { bytes, content } = await readBody(request, true);
      checkConditions(request, blob);
      const made = store(key, { bytes, content, metadata: metadataOf(request), committed: [] });
      // What was not kept has no checksum: none is better than a wrong one.
      const headers: Record<string, string> = { etag: made.etag, 'last-modified': made.modified };
      if (content !== undefined) headers['content-md5'] = createHash('md5').update(content).digest('base64');
      return answer(201, headers);
    }
    case 'HEAD':
    case 'GET':
    case 'DELETE':
      await readBody(request, false);
      if (blob === undefined) throw new StorageError(404, 'BlobNotFound');
      checkConditions(request, blob);
      if (kind === 'HEAD') return answer(200, { ...blobHeaders(blob), 'content-length': String(blob.bytes) });
      if (kind === 'GET') return sendContent(blob, request, response);
      blobs.delete(key);
      return answer(202);
    default:
      throw new StorageError(501, `NotImplemented ${kind}`);
  }
}

const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    const known = error instanceof StorageError ? error : new StorageError(500, String(error));
    if (response.headersSent) return void response.destroy();
    request.resume();
    const xml = `<?xml version="1.0"?><Error><Code>${known.code}</Code><Message>${known.code}</Message></Error>`;
    const headers = { 'x-ms-error-code': known.code, 'content-type': 'application/xml' };
    response.writeHead(known.status, headers).end(request.method === 'HEAD' ? '' : xml);
  });
});
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const account = 'devstoreaccount1';
  const key = randomBytes(64).toString('base64');
  const blob = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/${account};`;
  process.stdout.write(`${JSON.stringify({ ready: 'discarding-blob-server', blob, sasUrl: `http://127.0.0.1:${port}/${account}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();
