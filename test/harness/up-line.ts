/** What `dmg up` says when it is ready: how to reach everything that it started. */
export interface UpLine {
  readonly endpoint: string;
  /** Path of the control plane's CA certificate. */
  readonly ca: string;
  readonly token: string;
  readonly subscriptionId: string;
  readonly resourceGroupName: string;
  readonly redis: string;
  readonly serviceBus: string;
  readonly serviceBusControl: string;
  readonly blob: string;
}

/** The ready line of `dmg up`, as `startRoot` gives it. Throws when a member is missing. */
export function readUpLine(ready: Readonly<Record<string, unknown>>): UpLine {
  const text = (name: keyof UpLine): string => {
    const value = ready[name];
    if (typeof value !== 'string') throw new Error(`the ready line of dmg up has no ${name}: ${JSON.stringify(ready)}`);
    return value;
  };
  return {
    endpoint: text('endpoint'), ca: text('ca'), token: text('token'), subscriptionId: text('subscriptionId'),
    resourceGroupName: text('resourceGroupName'), redis: text('redis'), serviceBus: text('serviceBus'),
    serviceBusControl: text('serviceBusControl'), blob: text('blob'),
  };
}
