/** Why work was stopped. Cancel, drain and loss of a role are signals, not errors: they are `AbortSignal.reason`s. */
export type StopKind = 'cancelled' | 'draining' | 'shutdown' | 'superseded' | 'timeout' | 'host-gone';

export class StopReason extends Error {
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string = kind) {
    super(message);
    this.name = 'StopReason';
    this.kind = kind;
  }
}

export function isStopReason(value: unknown, kind?: StopKind): value is StopReason {
  if (!(value instanceof Error) || value.name !== 'StopReason') return false;
  return kind === undefined || (value as StopReason).kind === kind;
}
