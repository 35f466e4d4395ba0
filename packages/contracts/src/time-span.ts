/** What a time span says; `dayTrap`: its first part was read as days, which its writer may not have meant. */
export interface TimeSpan {
  readonly ms: number;
  readonly dayTrap: boolean;
}

/**
 * Reads .NET's TimeSpan text: `hh:mm:ss`, `d.hh:mm:ss`, with fractions, `hh:mm`, or days alone. As there, `24:00:00` is 24 days: an
 * hour over 23 makes the first part days. Undefined when it is none of these.
 */
export function parseTimeSpan(text: string): TimeSpan | undefined {
  const match = /^\s*(?:(\d{1,8})\.)?(\d{1,8}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?\s*$/.exec(text);
  if (match === null) {
    const days = /^\s*(\d{1,8})\s*$/.exec(text)?.[1];
    return days === undefined ? undefined : { ms: Number(days) * 86_400_000, dayTrap: false };
  }
  const [first, second, third] = [Number(match[2]), Number(match[3]), Number(match[4] ?? '0')];
  const fraction = Math.floor(Number((match[5] ?? '').padEnd(7, '0')) / 10_000);
  const dayTrap = match[1] === undefined && first > 23;
  const [days, hours, minutes, seconds] = dayTrap ? [first, second, third, 0] : [Number(match[1] ?? '0'), first, second, third];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  return { ms: days * 86_400_000 + hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + (dayTrap ? 0 : fraction), dayTrap };
}
