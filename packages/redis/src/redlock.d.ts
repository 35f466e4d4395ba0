/**
 * What we use of redlock 5.0.0-beta.2. Its own declarations cannot be found under `moduleResolution: nodenext`, because its `exports`
 * name no types, and they do not fit ioredis 6.
 */
declare module 'redlock' {
  /** The part of a Redis client that redlock calls. `parameters` are the keys, then the arguments. */
  export interface RedlockClient {
    evalsha(sha1: string, keyCount: number, parameters: readonly (string | number)[]): Promise<unknown>;
    eval(text: string, keyCount: number, parameters: readonly (string | number)[]): Promise<unknown>;
  }

  export interface RedlockSettings {
    readonly driftFactor: number;
    readonly retryCount: number;
    readonly retryDelay: number;
    readonly retryJitter: number;
    readonly automaticExtensionThreshold: number;
  }

  /** The votes of one try; complete when every client has answered or failed. */
  export interface ExecutionStats {
    readonly membershipSize: number;
    readonly quorumSize: number;
    readonly votesFor: ReadonlySet<RedlockClient>;
    readonly votesAgainst: ReadonlyMap<RedlockClient, Error>;
  }

  export interface RedlockScript {
    readonly value: string;
    readonly hash: string;
  }

  /** A client found the resource locked by somebody else, or not locked by us. */
  export class ResourceLockedError extends Error {}

  /** No majority did what was asked. */
  export class ExecutionError extends Error {
    readonly attempts: readonly Promise<ExecutionStats>[];
  }

  export class Lock {
    constructor(redlock: Redlock, resources: string[], value: string, attempts: readonly Promise<ExecutionStats>[], expiration: number);
    readonly value: string;
    readonly attempts: readonly Promise<ExecutionStats>[];
  }

  class Redlock {
    constructor(clients: Iterable<RedlockClient>, settings?: Partial<RedlockSettings>);
    readonly scripts: Readonly<Record<'acquireScript' | 'extendScript' | 'releaseScript', RedlockScript>>;
    on(event: 'error', listen: (error: Error) => void): this;
    acquire(resources: string[], durationMs: number): Promise<Lock>;
    extend(lock: Lock, durationMs: number): Promise<Lock>;
    release(lock: Lock): Promise<{ readonly attempts: readonly Promise<ExecutionStats>[] }>;
    /** Makes the value of the next lock. Private by its own declaration; called once, and at once, by `acquire`. */
    protected _random(): string;
  }
  export { Redlock as default };
}
