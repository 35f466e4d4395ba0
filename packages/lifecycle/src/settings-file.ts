import { readFileSync } from 'node:fs';
import { firstLine } from '@dmg/base';
import { lifecycleErrors } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment with what `dmg.json` adds to it: `{ "redis": "redis://…", "metricsPort": 9464 }` stands for `DMG_REDIS` and
 * `DMG_METRICS_PORT`, and a variable that is set wins. The file is `DMG_CONFIG`, or `dmg.json` in the current folder where there is
 * one. Throws `DMG_LIFECYCLE_BAD_SETTING`, which never shows a value.
 */
export function withSettingsFile(environment: Environment): Environment {
  const named = environment['DMG_CONFIG'];
  const file = named ?? 'dmg.json';
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return environment;
    throw bad(file, `it cannot be read (${firstLine(error)})`);
  }
  return { ...parseSettings(file, text), ...withoutUnset(environment) };
}

function parseSettings(file: string, text: string): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw bad(file, 'it is not JSON'); // The parser's own words quote the text, and it may hold secrets.
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw bad(file, 'it is not a JSON object');
  const settings: Record<string, string> = {};
  for (const [key, value] of Object.entries(parsed)) {
    if (!/^[a-z][A-Za-z0-9]*$/.test(key)) throw bad(file, `${JSON.stringify(key)} is no setting`);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw bad(file, `${key} is neither text, number nor true or false`);
    }
    settings[`DMG_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`] =
      value === true ? '1' : value === false ? '' : String(value);
  }
  return settings;
}

function withoutUnset(environment: Environment): Record<string, string> {
  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) set[name] = value;
  return set;
}

function bad(file: string, reason: string): Error {
  const remedy = 'Write an object such as {"redis": "redis://…", "metricsPort": 9464}: environment names without DMG_, in camel case.';
  return lifecycleErrors.BAD_SETTING.create({ setting: file, reason, remedy });
}
