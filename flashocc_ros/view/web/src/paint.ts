/** Which voxels of a frame are drawn, and in which colour. */

import { DIFFERENCES, Palette, mixed, ofHeight } from './palette';
import type { State } from './state';
import { FREE, type Frame, type Layer, type LayerName } from './types';

/** What one picture of the scene shows. */
export type Shown = LayerName | 'difference';

export interface Painting {
  size: [number, number, number];
  /** 1 where something is drawn. */
  solid: Uint8Array;
  /** 0xRRGGBB, and 1 << 24 where no camera sees the voxel. */
  colors: Uint32Array;
}

export const UNSEEN_FLAG = 1 << 24;
const NO_OBJECT = 0x59616b;

export function paint(frame: Frame, shown: Shown, state: State, palette: Palette, reuse?: Painting): Painting {
  const size = frame.head.grid.size;
  const cells = size[0] * size[1] * size[2];
  const painting =
    reuse && reuse.solid.length === cells
      ? reuse
      : { size, solid: new Uint8Array(cells), colors: new Uint32Array(cells) };
  painting.size = size;
  painting.solid.fill(0);
  if (shown === 'difference') paintDifference(frame, state, painting);
  else paintLayer(frame.layers[shown], shown, state, palette, painting);
  if (frame.seen && state.unseen !== 'show') markUnseen(frame.seen, state.unseen === 'hide', painting);
  return painting;
}

function paintLayer(
  layer: Layer | undefined,
  name: LayerName,
  state: State,
  palette: Palette,
  { solid, colors, size }: Painting,
): void {
  if (!layer) return;
  const { classes, owners } = layer;
  const classColors = Uint32Array.from({ length: 256 }, (_, c) => palette.ofClass(Math.min(c, 17)));
  const things = [NO_OBJECT, ...layer.objects.map((thing) => palette.row(thing.color))];
  const faint = Uint32Array.from(classColors, (color) => mixed(mixed(color, NO_OBJECT, 0.75), 0, 0.15));
  const hidden = new Uint8Array(256);
  for (const index of state.hiddenClasses) hidden[index] = 1;
  const gone = hiddenRows(layer, name, state);
  const heights = Uint32Array.from({ length: size[2] }, (_, z) => ofHeight(z / Math.max(1, size[2] - 1)));
  const mode = state.color;
  for (let cell = 0; cell < classes.length; cell++) {
    const label = classes[cell];
    if (label === FREE || hidden[label]) continue;
    const owner = owners[cell];
    if (gone[owner]) continue;
    solid[cell] = 1;
    colors[cell] =
      mode === 'class' ? classColors[label] : mode === 'height' ? heights[cell % size[2]] : owner ? things[owner] : faint[label];
  }
}

/** By row of `owners`: 1 where the object is switched off. */
export function hiddenRows(layer: Layer, name: LayerName, state: State): Uint8Array {
  const gone = new Uint8Array(layer.objects.length + 1);
  layer.objects.forEach((thing, row) => {
    if (state.hiddenObjects.has(objectKey(name, thing.id))) gone[row + 1] = 1;
  });
  return gone;
}

export function objectKey(name: LayerName, id: number): string {
  return `${name[0]}${id}`;
}

/** Row of `DIFFERENCES` of a voxel, -1 where both are free. */
export function difference(predicted: number, truth: number): number {
  if (predicted === FREE) return truth === FREE ? -1 : 3;
  if (truth === FREE) return 2;
  return predicted === truth ? 0 : 1;
}

function paintDifference(frame: Frame, state: State, { solid, colors }: Painting): void {
  const predicted = frame.layers.prediction?.classes;
  const truth = frame.layers.truth?.classes;
  if (!predicted || !truth) return;
  const hidden = new Uint8Array(256);
  for (const index of state.hiddenClasses) hidden[index] = 1;
  for (let cell = 0; cell < predicted.length; cell++) {
    const kind = difference(predicted[cell], truth[cell]);
    if (kind < 0 || hidden[predicted[cell] === FREE ? truth[cell] : predicted[cell]]) continue;
    solid[cell] = 1;
    colors[cell] = DIFFERENCES[kind].color;
  }
}

function markUnseen(seen: Uint8Array, hide: boolean, { solid, colors }: Painting): void {
  for (let cell = 0; cell < seen.length; cell++) {
    if (seen[cell] || !solid[cell]) continue;
    if (hide) solid[cell] = 0;
    else colors[cell] |= UNSEEN_FLAG;
  }
}
