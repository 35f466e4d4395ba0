import type { DispatchAnswer, JobEvent, WorkerEvent } from '@dmg/core';
import type { LedgerSession } from './ledger-session.ts';
import type { ReceivedJob } from './receiver.ts';
import type { HelloList } from './roster.ts';

/** What the dispatcher's loop takes in, one after another. Callbacks only post; the loop decides. */
export type Mail =
  | { readonly type: 'received'; readonly received: ReceivedJob }
  | { readonly type: 'job'; readonly jobId: string; readonly event: JobEvent }
  /**
   * `session`: under which it was dispatched. `answer` undefined: the worker did not answer, so that nobody knows whether the attempt was
   * begun.
   */
  | {
    readonly type: 'answered'; readonly jobId: string; readonly attemptId: string; readonly nodeId: string;
    readonly session: LedgerSession; readonly answer: DispatchAnswer | undefined;
  }
  | { readonly type: 'worker'; readonly nodeId: string; readonly event: WorkerEvent }
  /** `finalTries` holds, for jobs that were unknown when the list came, what their verified copy says. */
  | { readonly type: 'list'; readonly list: HelloList; readonly finalTries: ReadonlyMap<string, boolean>; readonly session: LedgerSession }
  /** It is not a member any more. */
  | { readonly type: 'left'; readonly nodeId: string }
  | { readonly type: 'tick' };
