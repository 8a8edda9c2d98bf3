/** The faces of painted voxels that touch free space, with the shade of their corners. */

import { UNSEEN_FLAG, type Painting } from './paint';

/**
 * Two words per face. The first holds x (10 bits), y (10), z (8), direction (3) and whether no camera sees the voxel; the
 * second the colour 0xRRGGBB and above it the light of the four corners, two bits each.
 */
export interface Faces {
  count: number;
  words: Uint32Array;
}

export const MAX_SIZE = [1024, 1024, 256];

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
  const faces = reuse ?? { count: 0, words: new Uint32Array(2 * 131072) };
  faces.count = 0;
  const [nx, ny, nz] = size;
  const strides = [ny * nz, nz, 1];
  const steps = FRAMES.map(([normal]) => normal[0] * strides[0] + normal[1] * strides[1] + normal[2]);
  const at = [0, 0, 0];
  if (size.some((cells, k) => cells > MAX_SIZE[k])) {
    throw new Error(`the grid has ${size.join(' x ')} voxels, at most ${MAX_SIZE.join(' x ')} can be drawn`);
  }
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
          const unseen = colors[cell] & UNSEEN_FLAG ? 1 << 31 : 0;
          push(
            faces,
            x | (y << 10) | (z << 20) | (direction << 28) | unseen,
            (colors[cell] & 0xffffff) | (light << 24),
          );
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

function push(faces: Faces, first: number, second: number): void {
  if (2 * faces.count === faces.words.length) {
    const words = new Uint32Array(faces.words.length * 2);
    words.set(faces.words);
    faces.words = words;
  }
  faces.words[2 * faces.count] = first;
  faces.words[2 * faces.count++ + 1] = second;
}
