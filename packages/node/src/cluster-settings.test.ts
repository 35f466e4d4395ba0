import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { systemClock } from '@dmg/base';
import { createGatewayCa } from '@dmg/security';
import { agreedConfiguration, listenPlace } from './cluster-settings.ts';

describe('what all nodes must have alike', () => {
  const protocol = { major: 1, minor: 1 };
  let ca: string;
  let otherCa: string;

  before(async () => {
    const make = (): ReturnType<typeof createGatewayCa> => createGatewayCa({ gatewayId: 'g', clock: systemClock });
    [ca, otherCa] = [(await make()).certificatePem, (await make()).certificatePem];
  });

  test('encryption, CA and protocol major make another digest, the minor does not; the words say what differs', () => {
    const agreed = agreedConfiguration('mtls', ca, protocol);
    assert.deepEqual(agreedConfiguration('mtls', ca, { major: 1, minor: 0 }), agreed);
    assert.match(agreed.words, /^encryption mtls, CA [\w-]{12}, protocol 1$/);
    const others = [
      agreedConfiguration('none', ca, protocol), agreedConfiguration('mtls', otherCa, protocol),
      agreedConfiguration('mtls', ca, { major: 2, minor: 1 }),
    ];
    assert.equal(new Set([agreed, ...others].map(({ digest }) => digest)).size, 4);
    assert.equal(new Set([agreed, ...others].map(({ words }) => words)).size, 4);
  });
});

describe('where a node listens for others', () => {
  const given = { grpcHost: '0.0.0.0', grpcPort: 8060, advertisedHost: undefined };

  test('encrypted: where it was told', () => {
    assert.deepEqual(listenPlace({ ...given, encryption: 'mtls' }), { host: '0.0.0.0', port: 8060, advertisedHost: undefined });
    const told = { grpcHost: '10.0.0.5', grpcPort: 0, advertisedHost: 'node-a' };
    assert.deepEqual(listenPlace({ ...told, encryption: 'mtls' }), { host: '10.0.0.5', port: 0, advertisedHost: 'node-a' });
  });

  test('in plain text: on loopback, and a host that others can reach is refused', () => {
    for (const grpcHost of ['0.0.0.0', '127.0.0.1', '127.8.0.1', '::1', 'localhost']) {
      assert.equal(listenPlace({ ...given, grpcHost, encryption: 'none' }).host, '127.0.0.1', grpcHost);
    }
    for (const grpcHost of ['10.0.0.5', '::', 'node-a', '127.example.org', 'localhost.example.org']) {
      assert.throws(() => listenPlace({ ...given, grpcHost, encryption: 'none' }), { code: 'DMG_NODE_PLAIN_TEXT_HOST_REFUSED' }, grpcHost);
    }
  });
});
