/** Amounts as people read them. What is not known is a dash, never a zero. */
const unknown = '-';

export function megabytesText(megabytes: number | undefined): string {
  if (megabytes === undefined) return unknown;
  return megabytes >= 10_000 ? `${(megabytes / 1024).toFixed(1)} GB` : `${Math.round(megabytes)} MB`;
}

export function bytesText(bytes: number | undefined): string {
  if (bytes === undefined) return unknown;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? Math.round(value) : value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

export function rateText(bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? unknown : `${bytesText(bytesPerSecond)}/s`;
}

export function percentText(percent: number | undefined): string {
  return percent === undefined ? unknown : `${Math.round(percent)} %`;
}

export function secondsText(seconds: number | undefined): string {
  if (seconds === undefined) return unknown;
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

export function countText(count: number | undefined): string {
  return count === undefined ? unknown : String(count);
}
