/** A moment on the clock of a zone (the reader's own without one): Mon 23 Nov, 06:00. */
export function onClock(at: number, zone?: string): string {
  const form = {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23'
  } as const;
  return shown(at, { ...form, timeZone: zone });
}

/** The same with the zone's short name: Mon 23 Nov, 06:00 CET. */
export function withZone(at: number, zone: string): string {
  const name = parts(at, { timeZone: zone, timeZoneName: 'short' }).find(part => part.type === 'timeZoneName')?.value;
  return [onClock(at, zone), name].filter(Boolean).join(' ');
}

/** The reader's own zone. */
export function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

/** The names of all zones; none where the browser does not tell. */
export function zones(): string[] {
  return (Intl as { supportedValuesOf?: (key: string) => string[] }).supportedValuesOf?.('timeZone') ?? [];
}

/** A zone that a browser does not know is left out, rather than that nothing is shown. */
function parts(at: number, form: Intl.DateTimeFormatOptions): Intl.DateTimeFormatPart[] {
  try {
    return new Intl.DateTimeFormat(undefined, form).formatToParts(at * 1000);
  } catch {
    return new Intl.DateTimeFormat(undefined, { ...form, timeZone: 'UTC' }).formatToParts(at * 1000);
  }
}

function shown(at: number, form: Intl.DateTimeFormatOptions): string {
  return parts(at, form)
    .map(part => part.value)
    .join('');
}
