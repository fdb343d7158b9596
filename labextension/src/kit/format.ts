import { t } from './texts';

/** A number in at most six significant digits, as people write it; "" for none. */
export function number(value: unknown, digits = 4): string {
  if (value === null || value === undefined || value === '') {
    return '';
  }
  const found = typeof value === 'number' ? value : Number(value);
  if (Number.isNaN(found)) {
    return typeof value === 'number' ? 'NaN' : String(value);
  }
  if (!Number.isFinite(found)) {
    return found > 0 ? '∞' : '−∞';
  }
  if (Number.isInteger(found) && Math.abs(found) < 1e9) {
    return count(found);
  }
  const size = Math.abs(found);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) {
    return minus(
      found
        .toExponential(digits - 1)
        .replace(/\.?0+e/, 'e')
        .replace('e+', 'e')
    );
  }
  return minus(String(Number(found.toPrecision(size >= 1000 ? Math.max(digits, 6) : digits))));
}

/** A whole number with thin spaces between thousands. */
export function count(value: number): string {
  return minus(String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f'));
}

/** A length of time: 320 ms, 4.2 s, 3 min 20 s, 2 h 5 min, 3 d. */
export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return '';
  }
  if (value < 1) {
    return t('%1 ms', Math.round(value * 1000));
  }
  if (value < 60) {
    return t('%1 s', value < 10 ? Number(value.toFixed(1)) : Math.round(value));
  }
  if (value < 3600) {
    const rest = Math.floor(value % 60);
    return rest ? t('%1 min %2 s', Math.floor(value / 60), rest) : t('%1 min', Math.floor(value / 60));
  }
  if (value < 86400) {
    const rest = Math.floor((value % 3600) / 60);
    return rest ? t('%1 h %2 min', Math.floor(value / 3600), rest) : t('%1 h', Math.floor(value / 3600));
  }
  return t('%1 d', Math.floor(value / 86400));
}

/** How long ago a moment (seconds since 1970) was: now, 5 min ago, 3 h ago, 2 d ago, else its date. */
export function ago(moment: number | null | undefined, now = Date.now() / 1000): string {
  if (!moment) {
    return '';
  }
  const past = now - moment;
  if (past < 0) {
    return moment - now < 5 ? t('now') : t('in %1', seconds(Math.round(-past)));
  }
  if (past < 10) {
    return t('now');
  }
  if (past < 60) {
    return t('%1 s ago', Math.floor(past));
  }
  if (past < 3600) {
    return t('%1 min ago', Math.floor(past / 60));
  }
  if (past < 86400) {
    return t('%1 h ago', Math.floor(past / 3600));
  }
  return past < 7 * 86400 ? t('%1 d ago', Math.floor(past / 86400)) : date(moment);
}

/** How old something is, in the width of a narrow column: now, 5 min, 3 h, 2 d, 40 d. */
export function age(moment: number | null | undefined, now = Date.now() / 1000): string {
  if (!moment) {
    return '';
  }
  const past = Math.max(0, now - moment);
  if (past < 10) {
    return t('now');
  }
  if (past < 60) {
    return t('%1 s', Math.floor(past));
  }
  return past < 3600
    ? t('%1 min', Math.floor(past / 60))
    : past < 86400
      ? t('%1 h', Math.floor(past / 3600))
      : t('%1 d', Math.floor(past / 86400));
}

/** The day of a moment (seconds since 1970), in the reader's clock: 2026-03-01. */
export function date(moment: number): string {
  const day = new Date(moment * 1000);
  return [day.getFullYear(), two(day.getMonth() + 1), two(day.getDate())].join('-');
}

/** A moment (seconds since 1970) in full, in the reader's clock: 2026-03-01 14:05:09. */
export function moment(at: number | null | undefined): string {
  if (!at) {
    return '';
  }
  const time = new Date(at * 1000);
  return `${date(at)} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** A size: 512 B, 4.2 kB, 11 MB, 3.1 GB. */
export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) {
    return '';
  }
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let left = size;
  let unit = 0;
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit === 0 || left >= 10 ? Math.round(left) : Number(left.toFixed(1))} ${units[unit]}`;
}

/** Any value of a record (a parameter, a cell of a table) as one short line. */
export function text(value: unknown, most = 200): string {
  if (value === null || value === undefined) {
    return '';
  }
  const told =
    typeof value === 'number' ? number(value) : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return told.length > most ? `${told.slice(0, most - 1)}…` : told;
}

/** The first characters of an id or digest, enough for people and for every verb. */
export function short(id: string): string {
  return id.slice(0, 8);
}

function minus(told: string): string {
  return told.replace(/^-/, '−');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
