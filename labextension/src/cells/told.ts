/** A run as a kernel tells of it. */
export interface ToldRun {
  id: string;
  name: string;
  status: string;
  cell: string;
  metrics: Record<string, unknown>;
  replay: string | null;
}

interface Common {
  tracking: 'on' | 'off';
  session: string;
  /** Whether the kernel wants to know that somebody still listens. */
  ask?: boolean;
}

/** What a kernel tells (jupyter_mlops/surfaces/kernel_comm.py). */
export type Told =
  | ({ kind: 'state'; cells: Record<string, number>; runs: ToldRun[] } & Common)
  | ({ kind: 'cell'; cell: string; seq: number; status: string; runs: ToldRun[] } & Common)
  | ({ kind: 'status'; stale: Record<string, string[]>; hidden: Record<string, string[]>; notes: string[] } & Common)
  | ({ kind: 'tracking' } & Common);

const KINDS = new Set(['state', 'cell', 'status', 'tracking']);

/** A message of a kernel; null for anything else, such as what a later version of the package would tell. */
export function asTold(data: unknown): Told | null {
  const told = data as Told | null;
  return told !== null && typeof told === 'object' && KINDS.has(told.kind) ? told : null;
}
