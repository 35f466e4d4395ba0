import { type Clock, firstLine, isDmgError, sleep, systemClock } from '@dmg/base';
import { exitCodes } from '@dmg/lifecycle';
import type { Context } from '../context.ts';
import { chosenGateway } from '../gateway-view.ts';
import type { Output } from '../output.ts';
import { createScreen, type Screen, screenSize } from '../screen.ts';
import { TopReader } from '../top-data.ts';
import { renderTop, type TopData } from '../top-frame.ts';

export interface TopFlags {
  readonly gateway: string | undefined;
  /** One picture and no more. */
  readonly once: boolean;
}

const refreshMs = 1000;
/** Of a picture that stays: it may be higher than the terminal. */
const rowsOnce = 1000;

/** `dmg top`: the gateway's nodes and open jobs, every second until q or Ctrl-C; JSON lines where nobody looks at a terminal. */
export async function top(flags: TopFlags, context: Context, output: Output, stop: AbortController): Promise<number> {
  const gateway = await chosenGateway(flags.gateway, context);
  const reader = new TopReader({ context, gateway, clock: systemClock });
  // What is wrong from the start is an error; later it is part of the picture.
  const first = await reader.read(stop.signal).catch((error: unknown) => {
    if (stop.signal.aborted) return undefined;
    throw error;
  });
  if (first === undefined) return exitCodes.ok;
  if (flags.once) {
    output.result(first, () => renderTop(first, { ...screenSize(), rows: rowsOnce }).join('\n'));
    return exitCodes.ok;
  }
  const screen = output.json ? undefined : createScreen({ onQuit: () => stop.abort() });
  const draw = (data: TopData): void => (screen === undefined ? output.result(data, () => '') : show(screen, data));
  try {
    for await (const data of pictures(first, reader, systemClock, stop.signal)) draw(data);
  } finally {
    screen?.close();
  }
  return exitCodes.ok;
}

function show(screen: Screen, data: TopData): void {
  screen.show((size) => renderTop(data, size));
}

/** One picture a second until the signal; the last one with the reason while there is no new one. */
async function* pictures(first: TopData, reader: TopReader, clock: Clock, signal: AbortSignal): AsyncGenerator<TopData> {
  let last = first;
  while (!signal.aborted) {
    yield last;
    const begunMs = clock.monotonicMs();
    try {
      await sleep(clock, refreshMs, signal);
      last = await reader.read(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isDmgError(error) || error.category !== 'transient') throw error;
      last = { ...last, trouble: firstLine(error) };
      // An error that comes at once must not be asked for again at once.
      await sleep(clock, Math.max(0, refreshMs - (clock.monotonicMs() - begunMs)), signal).catch(() => undefined);
    }
  }
}
