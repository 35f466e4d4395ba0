import type { FastifyRequest } from 'fastify';
import { controlPlaneErrors } from '../errors.ts';

/** One page of a list, and where the next one is. */
export interface Page<T> {
  readonly value: readonly T[];
  readonly nextLink?: string;
}

export const pageSize = 100;

/** Cuts the page that a request asks for; `$skipToken` is the number of items before it. */
export function pageOf<T>(request: FastifyRequest, items: readonly T[], size: number = pageSize): Page<T> {
  const url = new URL(request.url, `https://${request.headers.host ?? 'localhost'}`);
  const start = readSkip(url.searchParams.get('$skipToken'));
  const value = items.slice(start, start + size);
  if (start + size >= items.length) return { value };
  url.searchParams.set('$skipToken', String(start + size));
  return { value, nextLink: url.href };
}

/** Position in a list from a continuation token. */
export function readSkip(token: string | null | undefined): number {
  if (token === null || token === undefined || token === '') return 0;
  if (/^\d{1,9}$/.test(token)) return Number(token);
  throw controlPlaneErrors.BODY_REFUSED.create({ path: 'continuationToken', reason: 'is not one that this server gave' });
}
