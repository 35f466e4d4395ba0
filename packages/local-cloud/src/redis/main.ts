import { systemClock } from '@dmg/base';
import { exitCodes, runRoot } from '@dmg/lifecycle';
import { createLogger } from '@dmg/telemetry';
import { readProgramConfig } from '../config.ts';
import { fail, followFlags } from '../output.ts';
import { startRedis } from './redis-process.ts';

/** Holds a private Redis: it ends with this process, and this process with it. */
const name = 'redis';
const config = followFlags(name, readProgramConfig);

await runRoot({
  name,
  clock: systemClock,
  exitWithParent: config.exitWithParent,
  async start() {
    const redis = await startRedis({
      ...config,
      clock: systemClock,
      logger: createLogger({ component: name, level: config.logLevel }),
      onExit: (how) => fail(name, `redis-server ended (${how})`, exitCodes.failed),
    });
    return { ready: { pid: redis.pid, url: `redis://127.0.0.1:${config.port}` }, stop: () => redis.stop() };
  },
});
