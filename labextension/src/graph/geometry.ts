import type { Layout } from '../records';

/** Where a node's box stands, in pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** An edge as the `d` of an SVG path. */
export interface Line {
  source: string;
  target: string;
  d: string;
}

/** A graph in pixels; `across` tells that it runs from left to right, else it runs down. */
export interface Geometry {
  across: boolean;
  width: number;
  height: number;
  boxes: Map<string, Box>;
  lines: Line[];
}

const HEIGHT = 44;
const MARGIN = 6;
/** Between neighbours of a layer, and between layers, where the edges need room to bend. */
const GAP = 12;
const LANE = 10;
const BEND = 30;
const LEAST = 92;
const MOST = 196;
/** As narrow as a side panel: then the graph runs down. */
const NARROW = 440;

/** The pixels of a layout in so much width: a narrow place is filled downwards, a wide one from left to right. */
export function geometry(layout: Layout, room: number): Geometry {
  const places = Object.entries(layout.nodes);
  const layers = 1 + Math.max(-1, ...places.map(([, [layer]]) => layer));
  const rows = 1 + Math.max(0, ...places.map(([, [, row]]) => row));
  // What passes beyond the last node needs no room of a node, but a lane.
  const lanes = Math.max(0, ...layout.trails.flatMap(trail => trail.through.map(([, row]) => row - rows + 1)));
  const beyond = lanes > 0 ? LANE * (lanes + 0.5) : 0;
  const inside = Math.max(0, room - 2 * MARGIN - beyond);
  const across = room >= NARROW && layers > 1;
  const width = across ? between((inside - (layers - 1) * BEND) / layers) : between((inside - (rows - 1) * GAP) / rows);
  const far = across ? width + BEND : HEIGHT + BEND;
  const beside = across ? HEIGHT + GAP : width + GAP;
  const [long, broad] = [layers * far - BEND, rows * beside - GAP + beyond];
  const size = across ? { width: long, height: broad } : { width: broad, height: long };
  const start = MARGIN + Math.max(0, (room - 2 * MARGIN - size.width) / 2);
  const place = (layer: number, row: number): Box => {
    const [x, y] = across ? [layer * far, row * beside] : [row * beside, layer * far];
    return { left: start + x, top: MARGIN + y, width, height: HEIGHT };
  };
  const spot = (layer: number, row: number): Box => {
    const box = place(layer, Math.min(row, rows - 1));
    const off = row > rows - 1 ? LANE * (row - rows + 1) + (across ? HEIGHT : width) / 2 : 0;
    return across ? { ...box, top: box.top + off } : { ...box, left: box.left + off };
  };
  const boxes = new Map(places.map(([name, [layer, row]]) => [name, place(layer, row)]));
  const lines = layout.trails.flatMap(({ source, target, through }) => {
    const ends = [boxes.get(source), boxes.get(target)];
    const stops = [ends[0], ...through.map(([layer, row]) => spot(layer, row)), ends[1]];
    return stops.every(stop => stop !== undefined) ? [{ source, target, d: path(stops as Box[], across) }] : [];
  });
  return { across, width: Math.max(room, start + size.width + MARGIN), height: size.height + 2 * MARGIN, boxes, lines };
}

function between(width: number): number {
  return Math.max(LEAST, Math.min(MOST, Math.floor(width)));
}

/** A line from the end of the first box to the beginning of the last one, through the middle of those between them. */
function path(stops: Box[], across: boolean): string {
  let [x, y] = across ? right(stops[0]) : below(stops[0]);
  let d = `M${x} ${y}`;
  stops.slice(1).forEach((stop, index) => {
    const last = index === stops.length - 2;
    const [left, top] = across
      ? [stop.left - (last ? 5 : 0), stop.top + stop.height / 2]
      : [stop.left + stop.width / 2, stop.top - (last ? 5 : 0)];
    const bend = across ? (left - x) / 2 : (top - y) / 2;
    d += across
      ? `C${x + bend} ${y} ${left - bend} ${top} ${left} ${top}`
      : `C${x} ${y + bend} ${left} ${top - bend} ${left} ${top}`;
    [x, y] = [left, top];
    if (!last) {
      [x, y] = across ? right(stop) : below(stop);
      d += `L${x} ${y}`;
    }
  });
  return d;
}

function right(box: Box): [number, number] {
  return [box.left + box.width, box.top + box.height / 2];
}

function below(box: Box): [number, number] {
  return [box.left + box.width / 2, box.top + box.height];
}
