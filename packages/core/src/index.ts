export { type AssistAssignment, type AssistedLead, placeAssistants } from './assist-placement.ts';
export {
  type AttemptEffect, type AttemptEvent, type AttemptFailure, type AttemptLimits, type AttemptPhase, type AttemptState, type AttemptTerms,
  type AttemptTransition, type KillReason, startAttempt, stepAttempt,
} from './attempt-machine.ts';
export { coreErrors } from './errors.ts';
export { executorDeathsMax } from './job-ends.ts';
export {
  configWaitMs, countedForMs, type DecisionMemory, type DecisionStep, type DecisionView, decideGateway, emptyDecisionMemory,
  type HeardFacts, laterDecision, memberView, offlineAfterMs, versionWaitMs,
} from './gateway-decision.ts';
export type { JobContext, JobEffect, JobEvent, JobStep } from './job-events.ts';
export { nextStep } from './job-changes.ts';
export { isFinal, restored, signatureRefusalsMax, stepJob } from './job-machine.ts';
export type { Assistant, CurrentAttempt, JobEnd, JobRecord, JobState } from './job-record.ts';
export { admitByMemory, type MemoryAdmission, type MemorySituation } from './memory-admission.ts';
export { betterAfterMs, betterPeer, type LeadCandidate, leadRank, type LeadRank } from './lead-rank.ts';
export { stepLease } from './lease-machine.ts';
export { checkLeaseSettings, type LeaseSettings, leaseSettings } from './lease-settings.ts';
export {
  type EndCause, isMajority, leaderOf, leaseDueMs, type LeaseEffect, type LeaseEvent, type LeaseState, leaseTrouble, mayAct, type Moment,
  type SeenLeader, type Standing, startLease,
} from './lease-state.ts';
export {
  type GatewaySight, isolatedAfterMs, judgeGateway, judgeNode, type LeaderSight, type NamedJudgement, type NodeJudgement, type NodeView,
  type StatusCause, takesJobs,
} from './node-status.ts';
export {
  type Assignment, placeJobs, type Placement, placementKind, type PlacementNode, takingNodes, type WaitingJob,
} from './placement.ts';
export type {
  ClaimAnswer, Delivery, DispatchAnswer, DispatchRequest, InstallAnswer, JobQueue, JobSender, LeaseStore, Ledger, MasterSight, QueueState,
  ReportGateway, WorkerEvent, WorkerPort, Workers,
} from './ports.ts';
export {
  type AliveEvidence, decideResend, defaultResendOptions, observeAlive, quietNeededMs, type ResendDecision, type ResendOptions,
  type ResendWatch, watchSent,
} from './resend-rule.ts';
export {
  bindableSlot, carrySlot, claimSlot, dropCarried, dropClaim, emptySlotTable, executorGone, executorsWanted, hopelessClaims, idleAboveLimit,
  rebindCarried, releaseSlot, reserveSlot, seeForeign, setSlotLimit, slotBound, slotLeaving, type SlotPlace, type SlotTable, slotTaken,
  startBinding, usedSlots,
} from './slot-machine.ts';
