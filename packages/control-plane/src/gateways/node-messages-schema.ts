import type { AliveReport, CertificateRequest, DeadLetterReport, JobReport, RegisterRequest, StoreClaim } from '@dmg/model';
import { z } from 'zod';
import { controlPlaneErrors } from '../errors.ts';

/** Shapes of what nodes send. Unknown properties are kept out: an older or newer node may send more. */

const text = z.string().min(1);
const count = z.number().nonnegative();
const progress = z.object({
  step: z.enum(['plan', 'copy', 'finish', 'abort']),
  bytesTotal: count, bytesRead: count, bytesWritten: count, rowsWritten: count, filesTotal: count, filesWritten: count,
});
const fault = z.object({
  code: text, category: z.enum(['config', 'transient', 'system']), retry: z.enum(['never', 'backoff', 'reconnect']),
  scope: z.enum(['row', 'batch', 'attempt', 'job', 'node']), message: z.string(), fix: z.string(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])), detail: z.string().optional(),
});
const receipt = z.looseObject({
  formatVersion: z.literal(1), jobId: text, generation: z.number(), guarantee: z.enum(['exactlyOnce', 'atLeastOnce', 'atMostOnce']),
  verification: z.enum(['acknowledged', 'reread']), consistency: z.enum(['snapshot', 'perChunk']), filesRead: count, filesWritten: count,
  bytesRead: count, bytesWritten: count, rowsRead: count, rowsWritten: count, rowsSkipped: count, chunks: count, hash: z.string(),
  attempts: z.array(z.string()),
  finishedBy: z.object({ attemptId: z.string(), nodeName: z.string(), epoch: z.string() }),
  finishedAt: z.string(),
});
const details = z.object({ planMs: count, copyMs: count, finishMs: count, readMs: count, writeMs: count, parallelCopies: count });
const outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('succeeded'), receipt, details }),
  z.object({ kind: z.literal('failed'), fault, sink: z.enum(['open', 'aborted', 'unconfirmed']) }),
  z.object({ kind: z.literal('cancelled'), sink: z.enum(['aborted', 'unconfirmed']) }),
  z.object({ kind: z.literal('stopped') }),
  z.object({ kind: z.literal('lost'), reason: z.string() }),
]);

const nodeNameRule = 'no node name: up to 63 letters, digits, dots, dashes and underscores, the first a letter or digit';
const register = z.object({
  key: z.string(),
  nodeName: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, nodeNameRule),
  machineName: text.max(255), version: text.max(64), sharesMachine: z.boolean(), credentialPublicKey: z.record(z.string(), z.json()),
  certificateRequest: z.string(), defaultConcurrentJobsLimit: count,
});
const certificate = z.object({ certificateRequest: z.string() });
const storeClaim = z.object({ path: text.max(4096), storeId: text.max(128) });
const facts = z.object({
  nodeId: text, nodeName: text, bootId: text.max(128), version: text.max(64), protocol: z.object({ major: count, minor: count }),
  address: z.string().max(300), configDigest: z.string().max(128), config: z.string(),
  stage: z.enum(['initializing', 'running', 'upgrading', 'initializeFailed']), stageReason: z.string(),
  slots: z.object({ limit: count, used: count, maximum: count }), draining: z.boolean(),
  // A newer node may name parts that are not known here.
  troubles: z.array(z.object({ part: text, reason: z.string() })),
  dispatcher: z.object({ nodeId: text, epoch: text, lostForMs: count }).optional(),
});
const decision = z.object({ number: z.int().min(1), version: text.max(64), configDigest: z.string().max(128) });
const alive = z.object({
  facts, desiredVersion: count,
  running: z.array(z.object({
    jobId: text, tryNumber: z.int().min(1), attemptId: text, assists: z.enum(['assist', 'keep']).optional(), progress: progress.optional(),
  })),
  metrics: z.object({ cpuPercent: count, availableMemoryMb: count, sentBytes: count, receivedBytes: count }),
  dispatcher: z
    .object({
      epoch: z.string(), leading: z.boolean(), decision: decision.optional(), waiting: z.array(text),
      stranded: z.array(z.object({ jobId: text, reason: z.string() })).optional(), receivedUpTo: count, queueEmpty: z.boolean(),
    })
    .optional(),
});
const report = z.object({
  jobId: text, tryNumber: z.int().min(1), attemptId: z.string(), nodeName: z.string(), outcome, startedAt: z.string(), endedAt: z.string(),
});
const deadLetter = z.object({ messageId: z.string(), reason: z.string(), description: z.string(), deliveryCount: count });

export function readRegister(body: unknown): RegisterRequest {
  return read(register, body) as RegisterRequest;
}

export function readCertificateRequest(body: unknown): CertificateRequest {
  return read(certificate, body);
}

export function readStoreClaim(body: unknown): StoreClaim {
  return read(storeClaim, body);
}

export function readAlive(body: unknown): AliveReport {
  return read(alive, body) as AliveReport;
}

export function readReports(body: unknown): readonly JobReport[] {
  return read(z.object({ reports: z.array(report) }), body).reports as readonly JobReport[];
}

export function readDeadLetters(body: unknown): readonly DeadLetterReport[] {
  return read(z.object({ deadLetters: z.array(deadLetter) }), body).deadLetters;
}

/** The message of an issue never holds the value: a key may be among what was sent. */
function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw controlPlaneErrors.BODY_REFUSED.create({
    path: issue?.path.join('.') || 'body', reason: `is not as it must be (${issue?.message ?? 'unknown'})`,
  });
}
