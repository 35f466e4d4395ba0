import { systemClock, systemRandom } from '@dmg/base';
import { runRoot } from '@dmg/lifecycle';
import { createLogger } from '@dmg/telemetry';
import { readLocalCloudConfig } from './config.ts';
import { startLocalCloud } from './local-cloud.ts';
import { followFlags, passOn } from './output.ts';

const name = 'local-cloud';
const config = followFlags(name, readLocalCloudConfig);

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  start: (stopRequested) => {
    const logger = createLogger({ component: name, level: config.logLevel });
    return startLocalCloud({ config, clock: systemClock, random: systemRandom, logger, onLog: passOn }, stopRequested);
  },
});
