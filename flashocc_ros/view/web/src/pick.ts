/** The first painted voxel along a ray, cell by cell (Amanatides and Woo, 1987). */

import type { Painting } from './paint';
import type { GridInfo } from './types';

export interface Hit {
  cell: number;
  index: [number, number, number];
  /** Centre in metres, base frame. */
  center: [number, number, number];
  distance: number;
}

export function pick(painting: Painting, grid: GridInfo, from: number[], along: number[]): Hit | null {
  const { size, solid } = painting;
  const start = [0, 1, 2].map((k) => (from[k] - grid.origin[k]) / grid.resolution);
  let enter = 0;
  let leave = Infinity;
  for (let k = 0; k < 3; k++) {
    if (along[k] === 0) {
      if (start[k] < 0 || start[k] > size[k]) return null;
      continue;
    }
    const a = -start[k] / along[k];
    const b = (size[k] - start[k]) / along[k];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  }
  if (enter >= leave) return null;
  const at = [0, 0, 0];
  const step = [0, 0, 0];
  const next = [Infinity, Infinity, Infinity];
  for (let k = 0; k < 3; k++) {
    const entry = start[k] + along[k] * (enter + 1e-6);
    at[k] = Math.min(Math.max(Math.floor(entry), 0), size[k] - 1);
    step[k] = Math.sign(along[k]);
    if (step[k]) next[k] = (at[k] + (step[k] > 0 ? 1 : 0) - start[k]) / along[k];
  }
  let travelled = enter;
  for (;;) {
    const cell = (at[0] * size[1] + at[1]) * size[2] + at[2];
    if (solid[cell]) {
      const center = at.map((v, k) => grid.origin[k] + (v + 0.5) * grid.resolution);
      return {
        cell,
        index: [at[0], at[1], at[2]],
        center: [center[0], center[1], center[2]],
        distance: travelled * grid.resolution,
      };
    }
    const axis = next[0] < next[1] ? (next[0] < next[2] ? 0 : 2) : next[1] < next[2] ? 1 : 2;
    travelled = next[axis];
    if (travelled > leave) return null;
    at[axis] += step[axis];
    if (at[axis] < 0 || at[axis] >= size[axis]) return null;
    next[axis] += step[axis] / along[axis];
  }
}
