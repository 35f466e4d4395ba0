/** Who must act: the user, nobody (wait), or us. */
export type ErrorCategory = 'config' | 'transient' | 'system';
/** What the runtime does about it. */
export type ErrorRetry = 'never' | 'backoff' | 'reconnect';
/** How far the damage goes. Only `row` and `batch` may be tolerated by a copy's fault tolerance. */
export type ErrorScope = 'row' | 'batch' | 'attempt' | 'job' | 'node';
export type ErrorParams = Readonly<Record<string, string | number | boolean>>;

export interface ErrorDefinition {
  readonly category: ErrorCategory;
  readonly retry: ErrorRetry;
  readonly scope: ErrorScope;
  /** For the user: *Cannot ‹verb› ‹object›: ‹reason›.* with `{param}` places. */
  readonly message: string;
  /** What to do next, with `{param}` places. */
  readonly fix: string;
}

/** An error as it travels between processes and as REST shows it: no stack, no secret. */
export interface Fault {
  readonly code: string;
  readonly category: ErrorCategory;
  readonly retry: ErrorRetry;
  readonly scope: ErrorScope;
  readonly message: string;
  readonly fix: string;
  readonly params: ErrorParams;
  /** For the engineer: the chain of causes, first line each. */
  readonly detail?: string;
}

const mark = Symbol.for('dmg.error');

export class DmgError extends Error {
  readonly code: string;
  readonly category: ErrorCategory;
  readonly retry: ErrorRetry;
  readonly scope: ErrorScope;
  readonly fix: string;
  readonly params: ErrorParams;
  readonly detail: string | undefined;

  constructor(fault: Fault, options?: { cause?: unknown }) {
    super(fault.message, options);
    this.name = 'DmgError';
    this.code = fault.code;
    this.category = fault.category;
    this.retry = fault.retry;
    this.scope = fault.scope;
    this.fix = fault.fix;
    this.params = fault.params;
    this.detail = fault.detail;
    Object.defineProperty(this, mark, { value: true });
  }

  toFault(): Fault {
    const detail = this.detail ?? causeChain(this.cause);
    const fault: Fault = {
      code: this.code,
      category: this.category,
      retry: this.retry,
      scope: this.scope,
      message: this.message,
      fix: this.fix,
      params: this.params,
    };
    return detail === undefined ? fault : { ...fault, detail };
  }
}

/** True for a DmgError of any copy of this package (`instanceof` breaks when two copies are loaded). */
export function isDmgError(value: unknown): value is DmgError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[mark] === true;
}

/** True when `value` is a DmgError with this code. */
export function hasCode(value: unknown, code: string): boolean {
  return isDmgError(value) && value.code === code;
}

type Params<T extends string> = T extends `${string}{${infer P}}${infer R}` ? P | Params<R> : never;
type ParamsOf<D extends ErrorDefinition> = Params<D['message']> | Params<D['fix']>;
type CreateArguments<D extends ErrorDefinition> = [ParamsOf<D>] extends [never]
  ? [params?: ErrorParams, options?: { cause?: unknown; detail?: string }]
  : [
      params: Record<ParamsOf<D>, string | number | boolean> & ErrorParams,
      options?: { cause?: unknown; detail?: string },
    ];

export type ErrorCatalogue<T extends Record<string, ErrorDefinition>> = {
  readonly [K in keyof T]: {
    readonly code: string;
    readonly definition: T[K];
    create(...args: CreateArguments<T[K]>): DmgError;
  };
};

/**
 * Declares a package's errors. The code of `LOGIN_FAILED` in area `SQLSERVER` is `DMG_SQLSERVER_LOGIN_FAILED`: stable, unique,
 * never used again once retired.
 */
export function defineErrors<const T extends Record<string, ErrorDefinition>>(area: string, definitions: T): ErrorCatalogue<T> {
  const catalogue: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    const code = `DMG_${area}_${name}`;
    catalogue[name] = {
      code,
      definition,
      create(params: ErrorParams = {}, options: { cause?: unknown; detail?: string } = {}): DmgError {
        const fill = (text: string): string =>
          text.replaceAll(/\{(\w+)\}/g, (place, key: string) => String(params[key] ?? place));
        const fault: Fault = {
          code,
          category: definition.category,
          retry: definition.retry,
          scope: definition.scope,
          message: fill(definition.message),
          fix: fill(definition.fix),
          params,
          ...(options.detail === undefined ? {} : { detail: options.detail }),
        };
        return new DmgError(fault, options.cause === undefined ? undefined : { cause: options.cause });
      },
    };
  }
  return catalogue as ErrorCatalogue<T>;
}

export const baseErrors = defineErrors('BASE', {
  UNEXPECTED: {
    category: 'system',
    retry: 'never',
    scope: 'attempt',
    message: 'Cannot go on: an unexpected error occurred ({reason}).',
    fix: 'This is a defect of the gateway. Report it with the activity id and the log of this node.',
  },
  DEADLINE: {
    category: 'transient',
    retry: 'backoff',
    scope: 'attempt',
    message: 'Cannot {what}: no answer within {limitMs} ms.',
    fix: 'Check that the peer is running and reachable from this node, then try again.',
  },
});

/** Turns anything thrown into a DmgError; what is not one already becomes `DMG_BASE_UNEXPECTED`. */
export function asDmgError(value: unknown): DmgError {
  if (isDmgError(value)) return value;
  return baseErrors.UNEXPECTED.create({ reason: firstLine(value) }, { cause: value });
}

/** The first line with something in it: of an error its message, else the value as text. Never throws. */
export function firstLine(value: unknown): string {
  const text = value instanceof Error ? String(value.message).trim() || value.name : textOf(value).trim();
  return text.split(/\r?\n/, 1)[0] ?? '';
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    // An object without a prototype, or one whose own `toString` throws.
    return Object.prototype.toString.call(value);
  }
}

function causeChain(cause: unknown): string | undefined {
  const lines: string[] = [];
  for (let current = cause; current !== undefined && current !== null && lines.length < 5; ) {
    lines.push(firstLine(current));
    current = current instanceof AggregateError ? current.errors[0] : current instanceof Error ? current.cause : undefined;
  }
  return lines.length === 0 ? undefined : lines.join(' <- ');
}
