/** Days, ticks and names of the Gregorian calendar, in integers. */

export const ticksPerSecond = 10_000_000;
export const ticksPerMinute = 60 * ticksPerSecond;
export const ticksPerHour = 60 * ticksPerMinute;
/** 864,000,000,000: a day's ticks and all sums of two of them are exact in a double. */
export const ticksPerDay = 24 * ticksPerHour;

export const monthNames = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
] as const;
/** Index 0 is the weekday of 0001-01-01. */
export const dayNames = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

export interface CivilDate {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days from 0001-01-01 to a date; years 1 to 9999. */
export function dayNumber(date: CivilDate): number {
  // Years are counted from March, so that the leap day is a year's last.
  const year = date.month <= 2 ? date.year - 1 : date.year;
  const month = (date.month + 9) % 12;
  const days = 365 * year + Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
  return days + Math.floor((153 * month + 2) / 5) + date.day - 307;
}

export function dateOfDayNumber(day: number): CivilDate {
  const shifted = day + 306;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}
