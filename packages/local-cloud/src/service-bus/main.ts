import { systemClock, systemRandom } from '@dmg/base';
import { describeError, exitCodes, runRoot } from '@dmg/lifecycle';
import { createLogger } from '@dmg/telemetry';
import { readStandInConfig } from '../config.ts';
import { fail, followFlags } from '../output.ts';
import { startStandIn } from './stand-in.ts';

const name = 'service-bus-stand-in';
const config = followFlags(name, readStandInConfig);

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  async start() {
    const standIn = await startStandIn({
      ...config,
      host: '127.0.0.1',
      clock: systemClock,
      random: systemRandom,
      logger: createLogger({ component: name, level: config.logLevel }),
      onFailure: (error) => fail(name, describeError(error), exitCodes.failed),
    });
    const { connectionString, controlUrl, stop } = standIn;
    return { ready: { pid: process.pid, connectionString: connectionString.reveal(), control: controlUrl }, stop };
  },
});
