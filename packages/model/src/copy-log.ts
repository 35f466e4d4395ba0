import type { CopyLog, JobOrigin } from './job.ts';

/** Folder of a run's files below the folder of the log's store, as Data Factory names it. */
export function copyLogFolder({ form }: Pick<CopyLog, 'form'>, origin: Pick<JobOrigin, 'activityName' | 'activityRunId'>): string {
  // What would be a folder, or is no character of a file name, stands for itself no more.
  const part = (text: string): string => text.replaceAll(/[/\\\p{Cc}]/gu, '_').replace(/^\.+/, '_') || '_';
  return form === 'rows' ? part(origin.activityRunId) : `copyactivity-logs/${part(origin.activityName)}/${part(origin.activityRunId)}`;
}
