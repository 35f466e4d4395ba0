import { asDmgError, systemClock, systemRandom } from '@dmg/base';
import { assistCopy, type CopyOptions, keepSnapshot, runAbort, runCopy } from '@dmg/engine';
import { type AttemptOutcome, formatEpoch, type JsonObject } from '@dmg/model';
import { verifyJob } from '@dmg/security/signatures';
import { createLogger } from '@dmg/telemetry/logger';
import type { ExecutorTask } from '@dmg/worker';
import { runExecutorProcess } from '@dmg/worker/executor-process';
import { readExecutorConfig } from './config.ts';
import { connectors } from './connectors.ts';
import { decryptEnd } from './executor-secrets.ts';
import { nodeErrors } from './errors.ts';
import { NodeState, type Registration } from './node-state.ts';

/**
 * An executor process: one job step after another for the host that forked it. It verifies the signature and decrypts the secrets
 * itself, so that they are in clear only here.
 */
const config = readExecutorConfig();
const logger = createLogger({ component: 'executor', level: config.logLevel });
const state = NodeState.at(config.stateFolder);
/** Read once: whom the node trusts and what it decrypts with stay the same as long as the host lives, and this process ends with it. */
let kept: { readonly registration?: Registration; readonly privateJwk?: JsonObject } = {};

async function readRegistration(): Promise<Registration> {
  const registration = kept.registration ?? await state.readRegistration();
  if (registration === undefined) throw nodeErrors.NOT_REGISTERED.create();
  kept = { ...kept, registration };
  return registration;
}

/** A node may be without the key for a while. */
async function readCredentialKey(): Promise<JsonObject | undefined> {
  const privateJwk = kept.privateJwk ?? await state.readCredentialKey();
  if (privateJwk !== undefined) kept = { ...kept, privateJwk };
  return privateJwk;
}

/** Assistants and keepers end without a word on the job: what they did stands at the sink, or is done by others. */
async function runStep({ step, share }: ExecutorTask, options: CopyOptions): Promise<AttemptOutcome> {
  switch (step) {
    case 'copy': return runCopy(options);
    case 'abort': return runAbort(options);
    case 'keep': {
      await keepSnapshot(options);
      return { kind: 'stopped' };
    }
    case 'assist': {
      const outcome = await assistCopy({ ...options, share: share ?? { index: 1, of: 2 } });
      return outcome.kind === 'failed' ? { kind: 'failed', fault: outcome.fault, sink: 'open' } : { kind: 'stopped' };
    }
  }
}

runExecutorProcess({
  clock: systemClock,
  logger,
  async run(task, context) {
    const attemptLogger = logger.child({ jobId: task.jobId, attemptId: task.attemptId });
    try {
      const { signingKey, gatewayId } = await readRegistration();
      const job = await verifyJob(task.signedJob, { signingKey, gatewayId, wallMs: systemClock.wallMs() });
      const { source, sink, log } = job.activity;
      const common: CopyOptions = {
        job,
        attemptId: task.attemptId,
        nodeName: task.nodeName,
        epoch: formatEpoch(task.epoch),
        connectors,
        secrets: {
          source: await decryptEnd(source, readCredentialKey),
          sink: await decryptEnd(sink, readCredentialKey),
          ...(log === undefined ? {} : { log: await decryptEnd(log.store, readCredentialKey) }),
        },
        clock: systemClock,
        random: systemRandom,
        logger: attemptLogger,
        meter: context.meter,
        onProgress: (progress) => context.progress(progress),
        assistants: () => context.assistants(),
        signal: context.signal,
      };
      return await runStep(task, common);
    } catch (error) {
      // Nothing has touched the sink yet; the host closes it where this was the last try.
      attemptLogger.error({ error: asDmgError(error) }, 'attempt could not begin');
      return { kind: 'failed', fault: asDmgError(error).toFault(), sink: 'open' };
    }
  },
});
