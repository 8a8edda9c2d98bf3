/** The faces of painted voxels that touch free space, with the shade of their corners. */

import type { Painting } from './paint';

/** Cell x, y, z and, in the fourth number, direction (3 bits) and corner light (2 bits each); then a colour. */
export interface Faces {
  count: number;
  cells: Uint16Array;
  colors: Uint32Array;
}

/** Normal and two tangents per direction, tangents turning to the normal by the right hand. */
export const FRAMES = [
  [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  [[-1, 0, 0], [0, 0, 1], [0, 1, 0]],
  [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
  [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
  [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
  [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
];
const DOWN = 5;

export function facesOf({ size, solid, colors }: Painting, reuse?: Faces): Faces {
  const faces = reuse ?? { count: 0, cells: new Uint16Array(4 * 65536), colors: new Uint32Array(65536) };
  faces.count = 0;
  const [nx, ny, nz] = size;
  const strides = [ny * nz, nz, 1];
  const steps = FRAMES.map(([normal]) => normal[0] * strides[0] + normal[1] * strides[1] + normal[2]);
  const at = [0, 0, 0];
  let cell = 0;
  for (let x = 0; x < nx; x++) {
    for (let y = 0; y < ny; y++) {
      for (let z = 0; z < nz; z++, cell++) {
        if (!solid[cell]) continue;
        at[0] = x;
        at[1] = y;
        at[2] = z;
        for (let direction = 0; direction < 6; direction++) {
          const axis = direction >> 1;
          const border = direction & 1 ? at[axis] === 0 : at[axis] === size[axis] - 1;
          if (border ? direction === DOWN : solid[cell + steps[direction]]) continue;
          const light = border ? 255 : cornerLight(solid, size, strides, at, cell + steps[direction], direction);
          push(faces, x, y, z, direction | (light << 3), colors[cell]);
        }
      }
    }
  }
  return faces;
}

/** 2 bits per corner, 3 is full light: less the more neighbours stand around the corner in front of the face. */
function cornerLight(
  solid: Uint8Array,
  size: number[],
  strides: number[],
  at: number[],
  front: number,
  direction: number,
): number {
  const u = FRAMES[direction][1].indexOf(1);
  const v = FRAMES[direction][2].indexOf(1);
  const left = at[u] > 0;
  const right = at[u] < size[u] - 1;
  const below = at[v] > 0;
  const above = at[v] < size[v] - 1;
  const su = strides[u];
  const sv = strides[v];
  const l = left ? solid[front - su] : 0;
  const r = right ? solid[front + su] : 0;
  const b = below ? solid[front - sv] : 0;
  const a = above ? solid[front + sv] : 0;
  if (!(l | r | b | a)) {
    // corners alone darken too little to be worth four more looks for most of the ground
    return 255;
  }
  const lb = left && below ? solid[front - su - sv] : 0;
  const rb = right && below ? solid[front + su - sv] : 0;
  const la = left && above ? solid[front - su + sv] : 0;
  const ra = right && above ? solid[front + su + sv] : 0;
  return shade(l, b, lb) | (shade(r, b, rb) << 2) | (shade(l, a, la) << 4) | (shade(r, a, ra) << 6);
}

function shade(one: number, other: number, corner: number): number {
  return one && other ? 0 : 3 - one - other - corner;
}

function push(faces: Faces, x: number, y: number, z: number, packed: number, color: number): void {
  if (faces.count === faces.colors.length) {
    const cells = new Uint16Array(faces.cells.length * 2);
    cells.set(faces.cells);
    const colors = new Uint32Array(faces.colors.length * 2);
    colors.set(faces.colors);
    faces.cells = cells;
    faces.colors = colors;
  }
  const to = 4 * faces.count;
  faces.cells[to] = x;
  faces.cells[to + 1] = y;
  faces.cells[to + 2] = z;
  faces.cells[to + 3] = packed;
  faces.colors[faces.count++] = color;
}
