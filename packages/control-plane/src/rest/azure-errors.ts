import { asDmgError, type DmgError, isDmgError } from '@dmg/base';
import { controlPlaneErrors } from '../errors.ts';

/** Error body of Azure Resource Manager. `fix` and `params` are ours; the fix also stands in `details`, which stock tools print. */
export interface AzureErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly target?: string;
    readonly details: readonly { readonly code: string; readonly message: string }[];
    readonly additionalInfo: readonly { readonly type: string; readonly info: Readonly<Record<string, unknown>> }[];
    readonly fix: string;
  };
}

const statuses: Readonly<Record<string, number>> = {
  NOT_FOUND: 404, NO_ROUTE: 404, ETAG_DIFFERS: 412, STILL_USED: 409, GATEWAY_FULL: 409, MACHINE_TAKEN: 409, VERSION_TOO_OLD: 409,
  NODE_NAME_TAKEN: 409, REGISTRATION_ENDED: 409, TOO_LARGE: 413, UNAUTHENTICATED: 401, NODE_NOT_REGISTERED: 401,
  KEY_REFUSED: 401, UNEXPECTED: 500, NO_NODE: 409,
};

/** What is answered for anything thrown. What is not one of ours gives a fixed text: it may hold anything. */
export function toAzureError(thrown: unknown, requestId: string): { status: number; body: AzureErrorBody; unexpected: boolean } {
  const known = fromFastify(thrown) ?? (isDmgError(thrown) ? thrown : undefined);
  const error = known !== undefined && known.category !== 'system' ? known : controlPlaneErrors.UNEXPECTED.create();
  return { status: statusOf(error), body: bodyOf(error, requestId), unexpected: error !== known };
}

function statusOf(error: DmgError): number {
  const name = error.code.replace(/^DMG_CONTROLPLANE_/, '');
  return statuses[name] ?? (error.category === 'config' ? 400 : error.category === 'transient' ? 503 : 500);
}

function bodyOf(error: DmgError, requestId: string): AzureErrorBody {
  const target = error.params['path'];
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(typeof target === 'string' ? { target } : {}),
      details: [{ code: 'Fix', message: error.fix }],
      additionalInfo: [{ type: 'dmg', info: { params: error.params, requestId } }],
      fix: error.fix,
    },
  };
}

/** Fastify's own refusals, told by their codes. */
function fromFastify(thrown: unknown): DmgError | undefined {
  const { code, limitBytes } = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as { code?: unknown; limitBytes?: unknown };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return controlPlaneErrors.TOO_LARGE.create({ limitBytes: Number(limitBytes ?? bodyBytesMax) });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return controlPlaneErrors.BODY_REFUSED.create({ path: 'content-type', reason: 'is not application/json' });
  }
  return undefined;
}

/** Largest request body. Definitions are small; a node's report of many jobs is the largest thing that comes. */
export const bodyBytesMax = 4 * 1024 * 1024;

/** One line of a log for an error that was answered. */
export function loggable(thrown: unknown): DmgError {
  return asDmgError(thrown);
}
