import { defineErrors, type DmgError, isDmgError } from '@dmg/base';
import { connectorErrors } from '@dmg/connector-api';

export const azureBlobErrors = defineErrors('AZURE_BLOB', {
  FOREIGN_BLOCKS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {path}: another program has begun an upload to this blob and not ended it.',
    fix: 'End or repeat that upload, or delete the blob, or wait seven days until its blocks expire; then run the pipeline again.',
  },
  OUTCOME_UNKNOWN: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot tell whether {path} was published: its staged blocks are gone and {days} days have passed since publishing began.',
    fix: 'Look whether the blob or what is made of it is there; if not, run the pipeline again.',
  },
  STAGED_BLOCKS_LOST: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot publish {path}: its staged blocks were discarded, by their expiry or by another program.',
    fix: 'Make sure that only one job writes this blob at a time, then run the pipeline again.',
  },
  ARCHIVED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {path}: the blob is in the archive tier.',
    fix: 'Rehydrate the blob to the hot, cool or cold tier, then run the pipeline again.',
  },
  DAMAGED_ON_THE_WAY: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot write {path}: a block arrived with another checksum than it was sent with.',
    fix: 'The block is sent again. If this repeats, check the network and the memory of this node.',
  },
  FAILED: {
    category: 'system', retry: 'backoff', scope: 'attempt',
    message: 'Cannot access {path}: {store} answered {code} (status {status}).',
    fix: 'Look the code up in the error codes of Azure Blob Storage; the request id is in the detail.',
  },
});

/** Facts of an error of the SDK; nothing of its request, which holds signatures. */
export interface StorageFault {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
}

interface RestErrorShape {
  statusCode?: number;
  code?: string;
  name?: string;
  details?: { errorCode?: string; code?: string };
  response?: { headers?: { get(name: string): string | undefined } };
  cause?: unknown;
}

export function storageFault(error: unknown): StorageFault {
  if (typeof error !== 'object' || error === null) return { status: 0, code: '', requestId: '' };
  const shape = error as RestErrorShape;
  const header = (name: string): string => shape.response?.headers?.get(name) ?? '';
  const nested = typeof shape.cause === 'object' && shape.cause !== null ? (shape.cause as RestErrorShape).code : undefined;
  const own = shape.code === 'REQUEST_SEND_ERROR' ? (nested ?? shape.code) : shape.code;
  const code = shape.details?.errorCode ?? (header('x-ms-error-code') || own || '');
  return { status: shape.statusCode ?? 0, code, requestId: header('x-ms-request-id') };
}

const deniedCodes = new Set([
  'AuthenticationFailed', 'AuthorizationFailure', 'AuthorizationPermissionMismatch', 'AuthorizationProtocolMismatch',
  'AuthorizationResourceTypeMismatch',
  'AuthorizationServiceMismatch', 'AuthorizationSourceIPMismatch', 'InsufficientAccountPermissions',
  'InvalidAuthenticationInfo', 'NoAuthenticationInformation',
  'PublicAccessNotPermitted', 'AccountIsDisabled', 'KeyVaultEncryptionKeyNotFound',
]);
const networkCodes = new Set([
  'ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE', 'ECONNABORTED',
  'REQUEST_SEND_ERROR',
  'PARSE_ERROR', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID',
]);
const busyCodes = new Set(['ServerBusy', 'InternalError', 'OperationTimedOut', 'ContainerBeingDeleted', 'ContainerDisabled']);
const blocked: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  InvalidBlobType: ['an append or page blob has this name', 'Delete that blob or choose another target.'],
  LeaseIdMissing: ['another program holds a lease on it', 'End the lease, then run the pipeline again.'],
  BlobImmutableDueToPolicy: ['an immutability policy or a legal hold protects it', 'Choose another target or end the policy.'],
  SnapshotsPresent: ['it has snapshots', 'Delete the snapshots or choose another target.'],
};

/** Where an error happened, in words for the user. */
export interface Place {
  readonly path: string;
  /** Account and container, without any credential. */
  readonly store: string;
}

/** Maps an error of the SDK. The SDK's own error is not kept as a cause: it holds the request with its signature. */
export function fromStorageError(error: unknown, place: Place): DmgError {
  if (isDmgError(error)) return error;
  const { path, store } = place;
  const { status, code, requestId } = storageFault(error);
  const options = { detail: `status ${status}, code ${code === '' ? 'none' : code}, request ${requestId === '' ? 'none' : requestId}` };
  if (deniedCodes.has(code) || status === 401 || status === 403) {
    return connectorErrors.ACCESS_DENIED.create({ path, store, reason: code === '' ? `status ${status}` : code }, options);
  }
  if (networkCodes.has(code)) return connectorErrors.UNREACHABLE.create({ store, reason: code }, options);
  if (code === 'Md5Mismatch' || code === 'Crc64Mismatch') return azureBlobErrors.DAMAGED_ON_THE_WAY.create({ path }, options);
  if (code === 'BlobArchived') return azureBlobErrors.ARCHIVED.create({ path }, options);
  if (code === 'ContainerNotFound' || code === 'BlobNotFound' || (status === 404 && code === '')) {
    return connectorErrors.SOURCE_NOT_FOUND.create({ path, store }, options);
  }
  const block = blocked[code];
  if (block !== undefined) return connectorErrors.TARGET_BLOCKED.create({ path, reason: block[0], remedy: block[1] }, options);
  if (['InvalidResourceName', 'OutOfRangeInput', 'InvalidUri'].includes(code)) {
    return connectorErrors.BAD_PATH.create({ path, reason: `the store does not take this name (${code})` }, options);
  }
  if (busyCodes.has(code) || [408, 429, 500, 502, 503, 504].includes(status)) {
    return connectorErrors.UNREACHABLE.create({ store, reason: `it is busy or out of order (${code === '' ? status : code})` }, options);
  }
  return azureBlobErrors.FAILED.create({ path, store, code: code === '' ? 'an unknown error' : code, status }, options);
}

/** True for the answer that a blob or its container does not exist. */
export function isAbsent(error: unknown): boolean {
  return storageFault(error).status === 404;
}

/** True for the answers that say: the condition of a write did not hold, or the blocks it names are not there. */
export function isLostRace(error: unknown): boolean {
  const { status, code } = storageFault(error);
  if (['LeaseIdMissing', 'BlobImmutableDueToPolicy', 'InvalidBlobType'].includes(code)) return false;
  return status === 412 || code === 'BlobAlreadyExists' || code === 'UnauthorizedBlobOverwrite' || code === 'InvalidBlockList';
}

/** True for the answer to a block whose id has another length than those that stand. */
export function isIdLengthConflict(error: unknown): boolean {
  return ['InvalidBlobOrBlock', 'InvalidBlockId'].includes(storageFault(error).code);
}
