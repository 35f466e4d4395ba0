import { asDmgError, systemClock, systemRandom } from '@dmg/base';
import { type CopyOptions, runAbort, runCopy } from '@dmg/engine';
import { formatEpoch, type JsonObject } from '@dmg/model';
import { verifyJob } from '@dmg/security/signatures';
import { createLogger } from '@dmg/telemetry/logger';
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
        signal: context.signal,
      };
      return task.step === 'abort' ? await runAbort(common) : await runCopy(common);
    } catch (error) {
      // Nothing has touched the sink yet; the host closes it where this was the last try.
      attemptLogger.error({ error: asDmgError(error) }, 'attempt could not begin');
      return { kind: 'failed', fault: asDmgError(error).toFault(), sink: 'open' };
    }
  },
});
