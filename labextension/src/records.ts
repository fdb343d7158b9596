// Written by `python -m tests.labextension.types` from the records and the answers of the verbs: change those, and write this anew.

/** The model of a run, as MLflow logged it. */
export interface LoggedModel {
  name: string;
  class: string;
  flavor: string;
  uri: string;
}

/** A column that a model takes or gives. */
export interface Field {
  name: string;
  type: string;
  required?: boolean;
}

/** How good a model is by one metric, now and on the data that it was made of. */
export interface Performance {
  value: number | null;
  reference: number | null;
  rows: number;
  interval: [number, number] | null;
}

/** What came of a pipeline's release. */
export interface ReleaseOutcome {
  state: string;
  name?: string;
  version?: number;
  alias?: string;
  why?: string;
  again?: boolean;
}

/** An output of a step, kept by content. */
export interface StepOutput {
  kind: string;
  digest: string;
  object?: string;
  format?: string;
  size?: number;
}

/** A piece of data that a prediction or a model version goes back to. */
export interface TracedData {
  name: string;
  role: string;
  kind: string;
  digest: string;
  rows: number | null;
  kept: boolean;
}

/** Something that people should know. */
export interface Alert {
  kind: string;
  what: string;
  model: string;
  version: number | null;
  at: number;
  details: Record<string, unknown>;
}

/** One entry of the audit log: who did what to which model, when and why. */
export interface AuditEntry {
  seq: number;
  at: number;
  who: string;
  what: string;
  model: string;
  version: number | null;
  why: string;
  details: Record<string, unknown>;
  previous: string;
  digest: string;
}

/** A model card that was written: as Markdown with its plots beside it, and as one HTML file. */
export interface Card {
  model: string;
  version: number;
  markdown: string;
  html: string;
  plots: string[];
  missing: string[];
}

/**
 * The card of a model version as one page of HTML without scripts; "" while none is written, which the verb `card` does
 * to `out`.
 */
export interface CardPage {
  model: string;
  version: number;
  out: string;
  html: string;
  written: number;
  stale: boolean;
}

/** One execution of a cell (or of a tracked block), as it really ran. */
export interface CellEvent {
  session: string;
  seq: number;
  source: string;
  started: number;
  seconds: number;
  status: string;
  cell: string;
  error: string;
  outputs: Output[];
  reads: string[];
  writes: string[];
  mutates: string[];
  deletes: string[];
  files_read: Input[];
  files_written: Input[];
  values: Record<string, string>;
  fetched: Record<string, [string, string][]>;
  random: Record<string, unknown>;
  cpu_seconds: number;
  peak_memory: number;
  runs: string[];
}

/** How one cell of a notebook stands. */
export interface CellState {
  cell: string;
  seq: number | null;
  line: string;
  state: string;
  why: string[];
}

/** A model held against its gates. */
export interface Check {
  model: string;
  verdict: string;
  gates: Gate[];
  version: number | null;
  against: number | null;
  run: string;
  data: string;
  rows: number;
  started: number;
  seconds: number;
  notes: string[];
}

/** How one column differs: `change` is added, removed, type, values or same; `before` and `after` are statistics. */
export interface ColumnChange {
  column: string;
  change: string;
  before: Record<string, unknown>;
  after: Record<string, unknown>;
  changed: number | null;
}

/**
 * How the values of one column lie: `kind` is number, time, category, boolean, text or nothing (values that cannot be
 * compared).
 */
export interface ColumnDistribution {
  column: string;
  type: string;
  kind: string;
  rows: number;
  missing: number;
  distinct: number | null;
  edges: number[];
  counts: number[];
  top: [string, number][];
  others: number;
  least: number | null;
  greatest: number | null;
  mean: number | null;
}

/** A folder that runs a model's service anywhere. */
export interface Deployment {
  folder: string;
  to: string;
  model: string;
  version: number;
  digest: string;
  files: string[];
  start: string[];
  notes: string[];
}

/** The difference between two snapshots: rows before and after, and the change of each column. */
export interface Diff {
  a: string;
  b: string;
  identical: boolean;
  kind: string;
  rows: [number | null, number | null];
  columns: ColumnChange[];
  schema_changed: boolean;
  detail: string;
}

/** How one column of data differs from the reference. */
export interface Drift {
  column: string;
  kind: string;
  verdict: string;
  method: string;
  statistic: number | null;
  p_value: number | null;
  threshold: number | null;
  psi: number | null;
  wasserstein: number | null;
  missing: [number, number];
  new: string[];
  outside: number;
  rows: [number, number];
  why: string;
}

/** Something that is wrong with data. */
export interface Finding {
  check: string;
  what: string;
  column: string;
  count: number;
  share: number;
  rows: number[];
  examples: unknown[];
}

/** One due time of a schedule. */
export interface Firing {
  job: string;
  due: number;
  state: string;
  run: string;
  at: number;
  attempts: number;
  owner: string;
  started: number | null;
  ended: number | null;
  log: string;
  why: string;
}

/** What a restart and a run of all cells from the top would bring to one cell. */
export interface Foreseen {
  kind: string;
  cell: string;
  seq: number | null;
  line: string;
  why: string;
  name: string;
}

/** A condition that a model must meet. */
export interface Gate {
  name: string;
  state: string;
  value: number | null;
  why: string;
  kind: string;
  bound: number | null;
  details: Record<string, unknown>;
}

/** A piece of data that a run or cell used. */
export interface Input {
  name: string;
  kind: string;
  digest: string | null;
  source: string;
  size: number;
  rows: number | null;
  columns: number | null;
  kept: boolean;
  why: string;
  stat: number[];
}

/** What came of joining the truth to predictions. */
export interface Labelled {
  model: string;
  source: string;
  digest: string;
  key: string[];
  truth: string;
  rows: number;
  matched: number;
  unmatched: number;
  empty: number;
  new: number;
  changed: number;
  unchanged: number;
  missing: { row: number; key: unknown }[];
  seconds: number;
  notes: string[];
}

/** One registered model of a list. */
export interface ListedModel {
  name: string;
  versions: number;
  newest: number | null;
  created: number;
  by: string;
  aliases: Record<string, number>;
  metrics: Record<string, number>;
  last: string;
  changed: number;
}

/** One snapshot of a list. */
export interface ListedSnapshot {
  digest: string;
  kind: string;
  name: string;
  source: string;
  rows: number | null;
  columns: number | null;
  size: number;
  schema: [string, string][];
  created: number;
  kept: boolean;
  used: number;
  uses: SnapshotUse[];
  versions: string[];
}

/** A name that lives on although no code in the notebook makes it any more; `seq` is the execution that did. */
export interface LostName {
  name: string;
  seq: number;
  why: string;
}

/** The registered models of a project, by name, and the services that run on this machine. */
export interface ModelList {
  models: ListedModel[];
  services: ServiceState[];
}

/** A version of a registered model. */
export interface ModelVersion {
  name: string;
  version: number;
  uri: string;
  run: string;
  aliases: string[];
  created: number;
  by: string;
  digest: string;
  flavor: string;
  format: string;
  size: number;
  trusted: string[];
  signature: { inputs?: Field[]; outputs?: Field[] };
  reference: string;
  test: string;
  target: string;
  task: string;
  approved: string[];
  release: string;
  metrics: Record<string, number>;
  params: Record<string, unknown>;
  tags: Record<string, string>;
  source: string;
  notes: string[];
}

/** One registered model: its versions, the newest first, without their signatures and parameters. */
export interface ModelView {
  name: string;
  versions: ModelVersion[];
  checks: Record<string, Check>;
  gates: string[];
  approvals: number;
  entries: AuditEntry[];
  more: boolean;
  services: ServiceState[];
  notes: string[];
}

/** How a model in service does, in a window of time. */
export interface Monitoring {
  model: string;
  verdict: string;
  version: number | null;
  start: number;
  end: number;
  rows: number;
  labelled: number;
  drift: Drift[];
  performance: Record<string, Performance>;
  series: Record<string, [number, number | null, number][]>;
  slices: Record<string, unknown>[];
  service: Record<string, unknown>;
  distributions: Record<string, { cells: unknown[]; reference: number[]; now: number[] }>;
  alerts: Alert[];
  notes: string[];
  seconds: number;
}

/**
 * One node of a lineage: `kind` is run, model, metric, name, figure, statement, data, file, cell or parameter; `below`
 * holds what it came from.
 */
export interface LineageNode {
  kind: string;
  name: string;
  ref: string;
  detail: string;
  below: LineageNode[];
}

/** One output of a cell: `kind` is stream, display, result or error. */
export interface Output {
  kind: string;
  data: Record<string, unknown>;
  name: string;
}

/** A value that can be set from outside a step: `type` as an annotation, `help` from the comments of the code. */
export interface Parameter {
  name: string;
  type: string;
  default: unknown;
  help: string;
  source: string;
}

/** Consecutive lines of one execution that a slice keeps: whole statements, as executed. */
export interface Piece {
  seq: number;
  line: number;
  end_line: number;
  source: string;
}

/** Steps and what flows between them. */
export interface Pipeline {
  name: string;
  folder: string;
  steps: PipelineStep[];
  path: string;
  params: Record<string, unknown>;
  env: Record<string, string>;
  schedule: Record<string, unknown> | null;
  notify: Record<string, unknown>[];
  release: Record<string, unknown> | null;
}

/** One run of a pipeline. */
export interface PipelineRun {
  id: string;
  name: string;
  status: string;
  started: number;
  seconds: number;
  params: Record<string, unknown>;
  steps: StepRun[];
  notes: string[];
  edges: Record<string, string[]>;
  gates: Gate[];
  release: ReleaseOutcome | null;
}

/** One step of a pipeline. */
export interface PipelineStep {
  name: string;
  kind: string;
  source: string;
  params: Record<string, unknown>;
  inputs: Record<string, unknown>;
  outputs: Record<string, string>;
  kernel: string;
  after: string[];
  retries: number;
  backoff: number;
  factor: number;
  timeout: number | null;
  resources: Record<string, unknown>;
  env: Record<string, string>;
  cache: boolean;
  validate: Record<string, unknown>;
  line: number;
}

/** One row that a service or a batch predicted. */
export interface Prediction {
  id: string;
  model: string;
  version: number;
  at: number;
  inputs: Record<string, unknown>;
  output: unknown;
  truth: unknown;
  role: string;
  batch: string;
  seconds: number | null;
}

/** One thing that `verify` or `doctor` found: `what` is wrong, `where`, and the `remedy`. */
export interface Problem {
  what: string;
  where: string;
  remedy: string;
  ok: boolean;
}

/** What came of a promotion or a rollback. */
export interface Promotion {
  model: string;
  version: number;
  verdict: string;
  alias: string;
  before: number | null;
  aliases: Record<string, number>;
  check: Check | null;
  why: string;
  who: string;
  entry: number | null;
  seconds: number;
  notes: string[];
}

/** A model version, its code, its data and the service, under one tag. */
export interface Release {
  tag: string;
  model: string;
  version: number;
  digest: string;
  run: string;
  commit: string;
  changed: boolean;
  data: Record<string, string>;
  service: string;
  by: string;
  created: number;
  git: boolean;
  notes: string[];
}

/** What came of running a recorded run again. */
export interface Replay {
  run: string;
  verdict: string;
  score: number;
  results: Verdict[];
  first: Verdict | null;
  part: string;
  cells: number;
  packages: string[];
  notes: string[];
  environment: string;
  started: number;
  seconds: number;
}

/**
 * A folder in which a run can be opened and run again: `files` are what was put there, relative to it; `notes` what
 * could not be.
 */
export interface Restored {
  folder: string;
  run: string;
  files: string[];
  notes: string[];
}

/** What came of training a model again. */
export interface Retraining {
  model: string;
  state: string;
  why: string;
  what: string;
  run: string;
  version: number | null;
  champion: number | null;
  gates: Gate[];
  started: number;
  seconds: number;
  until: number;
  log: string;
  notes: string[];
}

/** A run, delivered to MLflow or not yet. */
export interface Run {
  id: string;
  name: string;
  status: string;
  experiment: string;
  started: number;
  seconds: number | null;
  params: Record<string, unknown>;
  metrics: Record<string, number>;
  inputs: Input[];
  model: LoggedModel | null;
  notebook: string;
  cell: string;
  replay: string | null;
  parent: string | null;
  error: string;
  tags: Record<string, string>;
  series: Record<string, [number, number][]>;
  skipped: string[];
  note: string;
  session: string;
  cells: number[];
  own_id: string;
  delivered: boolean;
  origin: string;
  pipeline: Record<string, string>;
}

/** When a pipeline runs by itself. */
export interface Schedule {
  name: string;
  pipeline: string;
  cron: string;
  timezone: string;
  params: Record<string, unknown>;
  catchup: string;
  overlap: string;
  jitter: number;
  paused: boolean;
  next: number | null;
  last: Firing | null;
  missed: number;
}

/** Rows that a model version predicted in one go. */
export interface Scored {
  model: string;
  version: number;
  data: string;
  rows: number;
  out: string;
  predictions: unknown[];
  ids: string[];
  logged: number;
  workers: string;
  seconds: number;
  notes: string[];
}

/** A service that runs on this machine, or one that recorded traffic lately and has ended. */
export interface ServiceState {
  name: string;
  state: string;
  asked: string;
  url: string;
  versions: [string, number][];
  workers: number;
  since: number;
  last: number | null;
  requests: number;
  requests_per_second: number;
  error_rate: number;
  p50: number | null;
  p99: number | null;
  series: ((number | null)[])[];
  notes: string[];
}

/** The least code that recreates a result of a run. */
export interface Slice {
  run: string;
  name: string;
  pieces: Piece[];
  kept: number;
  executed: number;
  parameters: Record<string, unknown>;
  source: string;
  proof: string;
  why: string;
}

/** Data frozen by content. */
export interface Snapshot {
  digest: string;
  kind: string;
  name: string;
  rows: number | null;
  columns: number | null;
  size: number;
  schema: [string, string][];
  kept: boolean;
  stored: number;
  created: number;
}

/** Some of the snapshots of a project, and how many there are in all that were sought. */
export interface SnapshotList {
  snapshots: ListedSnapshot[];
  total: number;
}

/**
 * A run that used a snapshot: `name` is what the run calls the data, `versions` are the model versions ("NAME/3") that
 * came of it.
 */
export interface SnapshotUse {
  run: string;
  run_name: string;
  name: string;
  started: number;
  versions: string[];
}

/**
 * One snapshot as a person looks at it: `head` are its first rows as texts, each a value for each of `labels`; None is
 * missing.
 */
export interface SnapshotView {
  snapshot: ListedSnapshot;
  labels: string[];
  head: ((string | null)[])[];
  distributions: ColumnDistribution[];
  looked: number;
  note: string;
}

/**
 * Where a notebook and its kernel differ: `cells` in the order of the notebook, `names` without code, and `restart`,
 * foreseen changes.
 */
export interface Status {
  session: string;
  notebook: string;
  saved: number | null;
  cells: CellState[];
  names: LostName[];
  restart: Foreseen[];
  notes: string[];
}

/** A papermill notebook cut out of a run. */
export interface Step {
  path: string;
  run: string;
  parameters: Parameter[];
  inputs: Parameter[];
  outputs: { name: string; kind: string; value?: unknown }[];
  kept: number;
  executed: number;
  proof: string;
  files: string[];
  folder: string;
  notes: string[];
}

/** What a pipeline would do with a step. */
export interface StepPlan {
  step: string;
  action: string;
  why: string[];
  key: string | null;
}

/** What became of a step. */
export interface StepRun {
  step: string;
  state: string;
  why: string[];
  key: string | null;
  run: string;
  started: number | null;
  seconds: number | null;
  attempts: number;
  cell: number;
  cells: number;
  memory: number;
  notebook: string;
  source: string;
  error: string;
  outputs: Record<string, StepOutput>;
  metrics: Record<string, number>;
}

/**
 * Where a prediction, or a model version, comes from: the `version`, the `run` that made it, the minimal `code` of that
 * run's model and metrics, and the exact data, each part a record; None where it cannot be had, and `missing` says why
 * in a sentence.
 */
export interface Trace {
  ref: string;
  prediction: Prediction | null;
  version: ModelVersion | null;
  run: Run | null;
  code: string;
  statements: [number, number];
  data: TracedData[];
  labels: unknown[];
  used: Usage | null;
  written: string;
  missing: string[];
  seconds: number;
}

/** The predictions that a model version made: how many the log has, and when the first and the last were made. */
export interface Usage {
  model: string;
  version: number;
  run: string;
  predictions: number;
  first: number | null;
  last: number | null;
}

/** What came of checking data. */
export interface Validation {
  data: string;
  verdict: string;
  rows: number;
  columns: number;
  digest: string;
  schema: string;
  checks: number;
  findings: Finding[];
  drift: Drift[];
  notes: string[];
}

/** One result of a cell or run, as recorded and as replayed. */
export interface Verdict {
  kind: string;
  name: string;
  seq: number;
  verdict: string;
  why: string;
  excused: boolean;
  recorded: string;
  replayed: string;
}

/** One act of the demo: its `name`, and what came of it in a sentence. */
export interface Act {
  name: string;
  outcome: string;
}

/** What a verb did to a run by hand: `did` is logged, tagged, noted or deleted. */
export interface Change {
  did: string;
  run: string;
  name: string;
  values: Record<string, unknown>;
}

/**
 * Objects that `gc` removed, or would remove (`dry_run`), and their bytes; `files` of pipelines' outputs that no step
 * used lately, with `file_bytes`, and due times of schedules that are long past (`firings`).
 */
export interface Collected {
  removed: number;
  freed: number;
  dry_run: boolean;
  files: number;
  file_bytes: number;
  firings: number;
}

/** Runs side by side. */
export interface Comparison {
  runs: Run[];
  params: Record<string, unknown[]>;
  metrics: Record<string, unknown[]>;
  inputs: Record<string, unknown[]>;
  same: Record<string, number>;
  code: string[];
}

/**
 * What the demo made: the `acts` of the loop; the first `notebook` as executed and, of its runs, the table, a
 * comparison and a lineage; the trace of one `prediction`.
 */
export interface Demo {
  notebook: string;
  acts: Act[];
  runs: Run[];
  comparison: Comparison;
  lineage: LineageNode;
  prediction: Trace;
  next: Record<string, string>;
  seconds: number;
}

/**
 * The workflow that `export` wrote for a platform; `changed` tells whether the file was not so before, `notes` what is
 * left to do.
 */
export interface Exported {
  path: string;
  to: string;
  changed: boolean;
  notes: string[];
}

/** The due times of the schedule `name`, the latest first; `more` tells that there are earlier ones. */
export interface History {
  name: string;
  timezone: string;
  firings: Firing[];
  more: boolean;
}

/**
 * Where the nodes of a graph stand, whichever way it is drawn: the [layer, row] of each, at least one row apart in a
 * layer.
 */
export interface Layout {
  nodes: Record<string, [number, number]>;
  trails: Trail[];
}

/** A page that this computer serves until `process` ends; `store` is what it shows. */
export interface Page {
  url: string;
  store: string;
  process: unknown;
}

/** What a run of a pipeline would do, step by step, and why. */
export interface Plan {
  name: string;
  steps: StepPlan[];
  edges: Record<string, string[]>;
}

/** What `init` wrote in the project folder; `changed` is empty when everything was there already. */
export interface Prepared {
  project: string;
  experiment: string;
  changed: string[];
  notes: string[];
}

/** The outcome of `verify` or `doctor`: one Problem for each thing that was checked. */
export interface Report {
  title: string;
  problems: Problem[];
}

/** What was done with a schedule: `did` is added, changed, removed, paused or resumed. */
export interface Scheduled {
  did: string;
  schedule: Schedule;
}

/** What a scheduler ran that was to run what was due at one moment; `coming` says what is due next. */
export interface Served {
  firings: Firing[];
  coming: string;
}

/** The whole story of one run: the run itself and the executions of cells that belong to it, in true order. */
export interface Story {
  run: Run;
  cells: CellEvent[];
}

/**
 * Whether cells are captured: `state` is on, off or none (no session here); `details` says where they go and how many
 * wait.
 */
export interface Tracking {
  state: string;
  details: Record<string, unknown>;
}

/** An edge of a drawn graph, and the [layer, row] of each place between its ends where it passes nodes by. */
export interface Trail {
  source: string;
  target: string;
  through: [number, number][];
}

/** A registered model, or one that predictions were logged of. */
export interface MonitoredModel {
  name: string;
  version: number | null;
  predictions: number;
  first: number | null;
  last: number | null;
  alerts: Alert[];
}

/** How a model does in a window of time, and what people were told of it before (`told`), the latest first. */
export interface MonitoringView {
  monitoring: Monitoring;
  told: Alert[];
  champion: number | null;
  predictions: Record<string, number>;
  window: string;
}

/** The executed notebook of a step as it lies on the disk; `modified` is a moment. */
export interface ExecutedNotebook {
  name: string;
  text: string;
  modified: number;
}

/** What is wrong with a file, and the `line` (from 1; 0 where it is not known) at which. */
export interface Fault {
  message: string;
  file: string;
  line: number;
}

/** What a step printed. */
export interface Log {
  file: string;
  printed: Printed[];
  cut: boolean;
  earlier: boolean;
}

/**
 * A run of a pipeline that is over, or goes on elsewhere; `schedule` and `due` tell for which due time it was begun.
 */
export interface PastRun {
  run: PipelineRun;
  schedule: string;
  due: string;
  error: string;
}

/** A pipeline as its file says, with its latest run; with a `fault` no more than its place is known. */
export interface PipelineFile {
  path: string;
  name: string;
  params: Record<string, unknown>;
  steps: PipelineStep[];
  edges: Record<string, string[]>;
  layout: Layout;
  schedule: Record<string, unknown> | null;
  release: Record<string, unknown> | null;
  fault: Fault | null;
  last: PastRun | null;
}

/**
 * What one code cell of a notebook printed (`cell` counts from 1), or a command (`cell` is 0); `error` is what it
 * raised.
 */
export interface Printed {
  cell: number;
  source: string;
  text: string;
  error: string;
}

/** What a cron expression means, and when it is due next. */
export interface DueTimes {
  words: string;
  timezone: string;
  coming: number[];
}

/**
 * A schedule with its due times ahead; `words` read its cron expression, `now` are the parameters that a run of this
 * moment gets.
 */
export interface Timed {
  schedule: Schedule;
  path: string | null;
  words: string;
  coming: number[];
  now: Record<string, unknown>;
}

/** The schedules of a project, and the `schedulers` that are at work: without one, nothing runs by itself. */
export interface Timetable {
  schedules: Timed[];
  schedulers: string[];
  command: string;
}
