import type { CopyActivity } from '@dmg/model';
import { engineErrors } from './errors.ts';

type CopyBehavior = 'PreserveHierarchy' | 'FlattenHierarchy' | 'MergeFiles';

/** `copyBehavior` of the sink's store settings, compared without case. Default: PreserveHierarchy. */
export function copyBehaviorOf(activity: CopyActivity): CopyBehavior {
  const value = activity.sink.settings.copyBehavior ?? '';
  const known: readonly CopyBehavior[] = ['PreserveHierarchy', 'FlattenHierarchy', 'MergeFiles'];
  if (value === '') return 'PreserveHierarchy';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const found = known.find((name) => name.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw engineErrors.COPY_BEHAVIOR.create({ value: text });
  return found;
}
