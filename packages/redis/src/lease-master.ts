import { firstLine, newId, type Random } from '@dmg/base';
import type { ClaimAnswer, InstallAnswer, MasterSight } from '@dmg/core';
import type { Epoch } from '@dmg/model';
import type { RedisConnection } from './connection.ts';
import { redisErrors } from './errors.ts';
import type { GatewayKeys } from './gateway-keys.ts';
import { leaseScripts, type Script } from './scripts.ts';

export type BeatAnswer = { readonly kind: 'moved' | 'lost' | 'silent' };
export type SeizeAnswer = { readonly kind: 'seized' | 'absent' | 'held' | 'silent' };

/** What was found in an answer; undefined: it makes no sense. */
type Read<T> = (reply: unknown) => T | undefined;

/** The lease and the epoch at one master. No method rejects: whatever goes wrong there is silence, and the connection has logged it. */
export class LeaseMaster {
  readonly #connection: RedisConnection;
  readonly #keys: GatewayKeys;
  readonly #random: Random;

  constructor(options: { readonly connection: RedisConnection; readonly keys: GatewayKeys; readonly random: Random }) {
    this.#connection = options.connection;
    this.#keys = options.keys;
    this.#random = options.random;
  }

  peek(): Promise<MasterSight> {
    const { lease, lead, life } = this.#keys;
    return this.#ask<MasterSight>(leaseScripts.peek, [lease, lead, life], [], sightOf, (reason) => ({ kind: 'silent', reason }));
  }

  claim(token: string): Promise<ClaimAnswer> {
    const { lease, lead, life } = this.#keys;
    return this.#ask<ClaimAnswer>(leaseScripts.claim, [lease, lead, life], [token], claimOf, () => ({ kind: 'silent' }));
  }

  install(epoch: Epoch, node: { readonly nodeId: string; readonly address: string }): Promise<InstallAnswer> {
    const { lease, lead, life } = this.#keys;
    const args = [epoch.token, String(epoch.n), node.nodeId, node.address, newId(this.#random)];
    return this.#ask<InstallAnswer>(leaseScripts.install, [lease, lead, life], args, installOf, () => ({ kind: 'silent' }));
  }

  beat(token: string): Promise<BeatAnswer> {
    const { lease, lead } = this.#keys;
    const read = kindOf({ OK: 'moved', LOST: 'lost' } as const);
    return this.#ask<BeatAnswer>(leaseScripts.beat, [lease, lead], [token], read, () => ({ kind: 'silent' }));
  }

  /** `beat` undefined: the holder has installed nothing on this master. */
  seize(token: string, beat: number | undefined): Promise<SeizeAnswer> {
    const { lease, lead } = this.#keys;
    const args = [token, beat === undefined ? '' : String(beat)];
    const read = kindOf({ SEIZED: 'seized', ABSENT: 'absent', HELD: 'held' } as const);
    return this.#ask<SeizeAnswer>(leaseScripts.seize, [lease, lead], args, read, () => ({ kind: 'silent' }));
  }

  async #ask<T>(
    script: Script, keys: readonly string[], args: readonly string[], read: Read<T>, silent: (reason: string) => T,
  ): Promise<T> {
    try {
      const reply = await this.#connection.run(script, keys, args);
      const answer = read(reply);
      if (answer !== undefined) return answer;
      const reason = `a script answered ${JSON.stringify(reply)}`;
      return silent(redisErrors.COMMAND_FAILED.create({ address: this.#connection.address, reason }).message);
    } catch (error) {
      return silent(firstLine(error));
    }
  }
}

function kindOf<T extends string>(kinds: Readonly<Record<string, T>>): Read<{ readonly kind: T }> {
  return (reply) => {
    const kind = typeof reply === 'string' ? kinds[reply] : undefined;
    return kind === undefined ? undefined : { kind };
  };
}

function sightOf(reply: unknown): MasterSight | undefined {
  const parts = textsOf(reply);
  if (parts.length !== 7) return undefined;
  const [lease = '', n = '', token = '', nodeId = '', address = '', beat = '', life = ''] = parts;
  return {
    kind: 'seen',
    leaseToken: lease === '' ? undefined : lease,
    lead: n === '' || token === '' ? undefined : { n: Number(n), token, nodeId, address, beat: Number(beat) },
    life,
  };
}

function claimOf(reply: unknown): ClaimAnswer | undefined {
  const [result, n, life] = textsOf(reply);
  if (result === 'LOST') return { kind: 'lost' };
  return result === 'OK' && n !== undefined && life !== undefined ? { kind: 'claimed', n: Number(n), life } : undefined;
}

function installOf(reply: unknown): InstallAnswer | undefined {
  const [result, value] = textsOf(reply);
  if (result === 'LOST') return { kind: 'lost' };
  if (value === undefined) return undefined;
  if (result === 'BEHIND') return { kind: 'behind', n: Number(value) };
  return result === 'OK' ? { kind: 'installed', life: value } : undefined;
}

function textsOf(reply: unknown): readonly string[] {
  return Array.isArray(reply) && reply.every((part) => typeof part === 'string') ? reply : [];
}
