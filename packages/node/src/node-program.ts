import { readFileSync } from 'node:fs';
import { firstLine, systemClock, systemRandom } from '@dmg/base';
import { bearStrayErrors, runRoot } from '@dmg/lifecycle';
import { isStrayClientError } from '@dmg/service-bus';
import { createLogger } from '@dmg/telemetry';
import { defaultConcurrentJobsLimit } from '@dmg/worker';
import { type NodeConfig, nodeHelp } from './config.ts';
import { startHost } from './host.ts';
import { NodeState } from './node-state.ts';
import { nodeErrors } from './errors.ts';
import { machineSize } from './node-parts.ts';
import { register } from './registration.ts';
import { isStateFolderLocked } from './state-lock.ts';

/** For everything after the drain. */
const stopMs = 10_000;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

async function registerOnce(config: NodeConfig): Promise<void> {
  if (config.gatewayKey === undefined) throw nodeErrors.NOT_REGISTERED.create();
  const logger = createLogger({ component: 'node', level: config.logLevel });
  const state = await NodeState.open(config.stateFolder);
  const { gatewayKey: key, nodeName: asked, sharesMachine } = config;
  const defaultLimit = defaultConcurrentJobsLimit(machineSize());
  const made = await register({
    state, key, nodeName: asked, sharesMachine, defaultConcurrentJobsLimit: defaultLimit, version, clock: systemClock, logger,
  }, key);
  const { nodeName, gatewayName, endpoint } = made;
  print(config, { nodeName, gatewayName, endpoint }, `${nodeName} is registered with the gateway ${gatewayName} at ${endpoint}`);
}

async function showStatus(config: NodeConfig): Promise<void> {
  const state = NodeState.at(config.stateFolder);
  const registration = await state.readRegistration();
  if (registration === undefined) throw nodeErrors.NOT_REGISTERED.create();
  const { nodeName, gatewayName, endpoint } = registration;
  const running = await isStateFolderLocked(state.folder);
  print(
    config,
    { nodeName, gatewayName, endpoint, running },
    `${nodeName} of the gateway ${gatewayName} (${endpoint}): ${running ? 'running' : 'not running'}`,
  );
}

function print(config: NodeConfig, value: object, text: string): void {
  process.stdout.write(`${config.json || !process.stdout.isTTY ? JSON.stringify(value) : text}\n`);
}

/** Does what the command line asks for. A node that is started runs until it is told to stop, and never comes back from here. */
export async function runNode(config: NodeConfig): Promise<void> {
  switch (config.command) {
    case 'help':
      process.stdout.write(nodeHelp);
      return;
    case 'register':
      return registerOnce(config);
    case 'status':
      return showStatus(config);
    case 'start': {
      const logger = createLogger({ component: 'node', level: config.logLevel });
      bearStrayErrors(isStrayClientError, (error) => logger.warn({ reason: firstLine(error) }, 'queue client failed behind our back'));
      await runRoot({
        name: 'node',
        clock: systemClock,
        exitWithParent: config.exitWithParent,
        stopLimitMs: config.drainGraceMs + stopMs,
        start: (stopRequested) => startHost({ config, version, clock: systemClock, random: systemRandom, logger }, stopRequested),
      });
    }
  }
}
