import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { connectorErrors } from '@dmg/connector-api';
import { azureBlobErrors, fromStorageError, isAbsent, isIdLengthConflict, isLostRace, storageFault } from './errors.ts';

const place = { path: 'folder/x', store: 'account/container' };
const secret = 'sig=a-signature-that-nobody-may-see';

function restError(statusCode: number, errorCode: string | undefined, code?: string): Error {
  const headers = {
    get: (name: string) => (name === 'x-ms-error-code' ? errorCode : name === 'x-ms-request-id' ? 'request-7' : undefined)
  };
  const error = new Error(`failed at https://account.blob.core.windows.net/c/x?${secret}`);
  return Object.assign(error, { name: 'RestError', statusCode, code, request: { url: `https://a/?${secret}` }, response: { headers } });
}

test('codes of the service become codes of ours', () => {
  const table: [status: number, code: string | undefined, expected: string][] = [
    [403, 'AuthenticationFailed', connectorErrors.ACCESS_DENIED.code],
    [403, 'AuthorizationPermissionMismatch', connectorErrors.ACCESS_DENIED.code],
    [403, 'SomethingNew', connectorErrors.ACCESS_DENIED.code],
    [401, undefined, connectorErrors.ACCESS_DENIED.code],
    [404, 'ContainerNotFound', connectorErrors.SOURCE_NOT_FOUND.code],
    [404, 'BlobNotFound', connectorErrors.SOURCE_NOT_FOUND.code],
    [404, undefined, connectorErrors.SOURCE_NOT_FOUND.code],
    [409, 'InvalidBlobType', connectorErrors.TARGET_BLOCKED.code],
    [412, 'LeaseIdMissing', connectorErrors.TARGET_BLOCKED.code],
    [409, 'BlobImmutableDueToPolicy', connectorErrors.TARGET_BLOCKED.code],
    [409, 'BlobArchived', azureBlobErrors.ARCHIVED.code],
    [409, 'ContainerBeingDeleted', connectorErrors.UNREACHABLE.code],
    [400, 'InvalidResourceName', connectorErrors.BAD_PATH.code],
    [400, 'Md5Mismatch', azureBlobErrors.DAMAGED_ON_THE_WAY.code],
    [503, 'ServerBusy', connectorErrors.UNREACHABLE.code],
    [500, 'InternalError', connectorErrors.UNREACHABLE.code],
    [500, undefined, connectorErrors.UNREACHABLE.code],
    [400, 'SomethingElse', azureBlobErrors.FAILED.code],
  ];
  for (const [status, code, expected] of table) {
    const error = fromStorageError(restError(status, code), place);
    assert.equal(error.code, expected, `${status} ${code}`);
    assert.match(error.detail ?? '', /request request-7/);
    assert.ok(
      !`${inspect(error, { depth: 10 })}${JSON.stringify(error.toFault())}`.includes('signature-that'),
      `${status} ${code} shows the signature`,
    );
  }
});

test('a network that fails is unreachable by its own code', () => {
  const sent = Object.assign(
    new Error('x'), { name: 'RestError', code: 'REQUEST_SEND_ERROR', cause: Object.assign(new Error('y'), { code: 'ECONNRESET' }) },
  );
  assert.deepEqual(fromStorageError(sent, place).params, { store: 'account/container', reason: 'ECONNRESET' });
  assert.equal(fromStorageError(restError(0, undefined, 'ENOTFOUND'), place).code, connectorErrors.UNREACHABLE.code);
  assert.equal(fromStorageError('a string', place).code, azureBlobErrors.FAILED.code);
  assert.deepEqual(storageFault(undefined), { status: 0, code: '', requestId: '' });
});

test('what the protocol decides by', () => {
  assert.deepEqual([404, 409, 412].map((status) => isAbsent(restError(status, undefined))), [true, false, false]);
  const lost: [number, string, boolean][] = [
    [412, 'ConditionNotMet', true], [409, 'BlobAlreadyExists', true], [400, 'InvalidBlockList', true], [412, 'LeaseIdMissing', false], [
      403, 'AuthenticationFailed', false,
    ],
    [409, 'BlobImmutableDueToPolicy', false],
  ];
  for (const [status, code, expected] of lost) assert.equal(isLostRace(restError(status, code)), expected, code);
  assert.ok(isIdLengthConflict(restError(400, 'InvalidBlobOrBlock')));
  assert.ok(!isIdLengthConflict(restError(400, 'InvalidBlockList')));
});
