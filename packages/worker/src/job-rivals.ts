import type { AttemptStep } from '@dmg/model';

/**
 * How an attempt that is here stands to another one of its job that is dispatched here. A keeper is in nobody's way but another
 * keeper's; an assistant makes way for the attempt that leads; all others do not go together.
 */
export function rivalryOf(here: AttemptStep, dispatched: AttemptStep): 'together' | 'makesWay' | 'excludes' {
  if (here === 'keep' || dispatched === 'keep') return here === dispatched ? 'excludes' : 'together';
  if (here === 'assist' && dispatched !== 'assist') return 'makesWay';
  return 'excludes';
}
