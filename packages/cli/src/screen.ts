/** The whole terminal for a picture that changes, and the terminal as it was when it is closed. */
export interface Screen {
  /** Draws what `picture` gives for the terminal's size as it is now, and again when the size changes. */
  show(picture: (size: ScreenSize) => readonly string[]): void;
  /** Gives the terminal back. Safe to repeat. */
  close(): void;
}

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
  readonly colours: boolean;
}

/** What is used of a terminal's output (`tty.WriteStream`) … */
export interface TerminalOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  hasColors(): boolean;
  on(event: 'resize', listen: () => void): unknown;
  off(event: 'resize', listen: () => void): unknown;
}

/** … and of its keyboard (`tty.ReadStream`). */
export interface TerminalInput {
  readonly isTTY?: boolean;
  setRawMode(raw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: 'data', listen: (data: Buffer) => void): unknown;
  off(event: 'data', listen: (data: Buffer) => void): unknown;
}

export interface ScreenOptions {
  /** q or Ctrl-C, which comes as a key here. */
  onQuit(): void;
  readonly stdout?: TerminalOutput;
  readonly stdin?: TerminalInput;
}

const escape = '\u001b[';
// The second screen keeps what stood on the first one.
const enter = `${escape}?1049h${escape}?25l`;
const leave = `${escape}?25h${escape}?1049l`;
const home = `${escape}H`;
const eraseLine = `${escape}K`;
const eraseBelow = `${escape}J`;
const quitKeys: readonly string[] = ['q', 'Q', '\u0003'];

export function createScreen(options: ScreenOptions): Screen {
  const { stdout = process.stdout, stdin = process.stdin, onQuit } = options;
  let picture: ((size: ScreenSize) => readonly string[]) | undefined;
  const draw = (): void => {
    if (picture === undefined) return;
    const size = screenSize(stdout);
    const lines = picture(size).slice(0, size.rows);
    // No line end after the last one: it would scroll.
    stdout.write(`${home}${lines.map((line) => `${line}${eraseLine}`).join('\r\n')}${eraseBelow}`);
  };
  const onKey = (data: Buffer): void => {
    const keys = data.toString();
    if (quitKeys.some((key) => keys.includes(key))) onQuit();
  };
  const isKeyboard = stdin.isTTY;
  const onExit = (): void => close();
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    stdout.off('resize', draw);
    process.off('exit', onExit);
    if (isKeyboard) {
      stdin.off('data', onKey);
      stdin.setRawMode(false);
      stdin.pause();
    }
    stdout.write(leave);
  };
  stdout.write(enter);
  stdout.on('resize', draw);
  // However the program ends, short of SIGKILL, the cursor comes back.
  process.on('exit', onExit);
  if (isKeyboard) {
    stdin.setRawMode(true);
    stdin.on('data', onKey);
    stdin.resume();
  }
  return {
    show(next) {
      picture = next;
      draw();
    },
    close,
  };
}

/** What the terminal is now; 80 × 24 where it does not say. */
export function screenSize(stdout: TerminalOutput = process.stdout): ScreenSize {
  return { columns: stdout.columns || 80, rows: stdout.rows || 24, colours: stdout.isTTY === true && stdout.hasColors() };
}
