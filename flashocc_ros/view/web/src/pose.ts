/** Poses as Python sends them: rows of numbers, target from source. */

import { Matrix4, Vector3 } from 'three';

/** From 12 (three rows) or 16 numbers. */
export function matrixOf(rows: number[]): Matrix4 {
  const full = rows.length === 12 ? [...rows, 0, 0, 0, 1] : rows;
  return new Matrix4().fromArray(full).transpose();
}

/** Turn about z, radians, of a pose's x axis. */
export function yawOf(pose: Matrix4): number {
  const [x, y] = pose.elements;
  return Math.atan2(y, x);
}

/** Points of a camera's picture border `depth_m` in front of it, camera optical frame; corners from the upper left. */
export function cornersOf(intrinsic: number[], width: number, height: number, depth_m: number): Vector3[] {
  const [fx, skew, cx, , fy, cy] = intrinsic;
  return [
    [-0.5, -0.5],
    [width - 0.5, -0.5],
    [width - 0.5, height - 0.5],
    [-0.5, height - 0.5],
  ].map(([u, v]) => {
    const y = (v - cy) / fy;
    const x = (u - cx - skew * y) / fx;
    return new Vector3(x * depth_m, y * depth_m, depth_m);
  });
}

/** OpenGL projection of a camera's picture; pixel centres are whole numbers. */
export function projectionOf(intrinsic: number[], width: number, height: number, near: number, far: number): Matrix4 {
  const [fx, skew, cx, , fy, cy] = intrinsic;
  const x = (2 * (cx + 0.5)) / width - 1;
  const y = (2 * (cy + 0.5)) / height - 1;
  return new Matrix4().set(
    (2 * fx) / width, (-2 * skew) / width, -x, 0,
    0, (2 * fy) / height, y, 0,
    0, 0, (far + near) / (near - far), (2 * far * near) / (near - far),
    0, 0, -1, 0,
  );
}
