/** Boxes around the voxels of objects, base frame. */

import type { GridInfo, Layer } from './types';

export interface Box {
  center: [number, number, number];
  size: [number, number, number];
}

/** By row of `objects`; an object without voxels has no box. */
export function boundsOf(layer: Layer, grid: GridInfo): (Box | null)[] {
  const [, ny, nz] = grid.size;
  const low = layer.objects.map(() => [Infinity, Infinity, Infinity]);
  const high = layer.objects.map(() => [-1, -1, -1]);
  for (let cell = 0; cell < layer.owners.length; cell++) {
    const row = layer.owners[cell] - 1;
    if (row < 0) continue;
    const at = [Math.floor(cell / (ny * nz)), Math.floor(cell / nz) % ny, cell % nz];
    for (let k = 0; k < 3; k++) {
      if (at[k] < low[row][k]) low[row][k] = at[k];
      if (at[k] > high[row][k]) high[row][k] = at[k];
    }
  }
  return low.map((from, row) => {
    const to = high[row];
    if (to[0] < 0) return null;
    const middle = [0, 1, 2].map((k) => grid.origin[k] + ((from[k] + to[k] + 1) / 2) * grid.resolution);
    const size = [0, 1, 2].map((k) => (to[k] - from[k] + 1) * grid.resolution);
    return { center: [middle[0], middle[1], middle[2]], size: [size[0], size[1], size[2]] };
  });
}
