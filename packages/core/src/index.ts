export type { CurrentAttempt, JobEnd, JobRecord, JobState } from './job-record.ts';
export type {
  Delivery, DispatchAnswer, DispatchRequest, JobQueue, JobSender, Ledger, QueueState, ReportGateway, WorkerEvent, WorkerPort,
} from './ports.ts';
export {
  type AliveEvidence, decideResend, defaultResendOptions, observeAlive, quietNeededMs, type ResendDecision, type ResendOptions, type ResendWatch,
  watchSent,
} from './resend-rule.ts';
