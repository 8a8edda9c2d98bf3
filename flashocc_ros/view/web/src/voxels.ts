/** Faces on the GPU: one small quad drawn many times, lit, with dark corners and edges. */

import {
  DoubleSide,
  Group,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  BufferAttribute,
  Color,
  GLSL3,
  IntType,
  LessEqualDepth,
  Mesh,
  ShaderMaterial,
} from 'three';
import { facesOf, type Faces } from './faces';
import type { Painting } from './paint';
import type { GridInfo } from './types';

const VERTEX = `
in uvec4 cell;
in uint color;
uniform float resolution;
uniform vec3 origin;
out vec2 corner;
flat out vec4 light;
flat out vec3 normalBase;
flat out vec3 tint;
flat out float unseen;
out float away;

const vec3 NORMAL[6] = vec3[6](vec3(1,0,0), vec3(-1,0,0), vec3(0,1,0), vec3(0,-1,0), vec3(0,0,1), vec3(0,0,-1));
const vec3 ACROSS[6] = vec3[6](vec3(0,1,0), vec3(0,0,1), vec3(0,0,1), vec3(1,0,0), vec3(1,0,0), vec3(0,1,0));
const vec3 ALONG[6] = vec3[6](vec3(0,0,1), vec3(0,1,0), vec3(1,0,0), vec3(0,0,1), vec3(0,1,0), vec3(1,0,0));

void main() {
  int direction = int(cell.w & 7u);
  uint corners = cell.w >> 3;
  corner = position.xy;
  light = vec4(corners & 3u, (corners >> 2) & 3u, (corners >> 4) & 3u, (corners >> 6) & 3u) / 3.0;
  normalBase = NORMAL[direction];
  tint = vec3((color >> 16) & 255u, (color >> 8) & 255u, color & 255u) / 255.0;
  unseen = float((color >> 24) & 1u);
  vec3 at = vec3(cell.xyz) + 0.5 + 0.5 * normalBase
    + (corner.x - 0.5) * ACROSS[direction] + (corner.y - 0.5) * ALONG[direction];
  vec3 base = origin + resolution * at;
  away = length(base.xy);
  gl_Position = projectionMatrix * modelViewMatrix * vec4(base, 1.0);
}`;

const FRAGMENT = `
precision highp float;
in vec2 corner;
flat in vec4 light;
flat in vec3 normalBase;
flat in vec3 tint;
flat in float unseen;
in float away;
uniform float opacity;
uniform float edges;
uniform vec3 ground;
uniform float reach;
out vec4 shown;

void main() {
  float sun = max(dot(normalBase, normalize(vec3(-0.45, 0.35, 0.9))), 0.0);
  float sky = 0.5 + 0.5 * normalBase.z;
  float corners = mix(mix(light.x, light.y, corner.x), mix(light.z, light.w, corner.x), corner.y);
  float bright = (0.42 + 0.2 * sky + 0.42 * sun) * mix(0.5, 1.0, corners);
  vec3 color = pow(tint, vec3(2.2)) * bright;
  vec2 inside = min(corner, 1.0 - corner);
  vec2 pixel = fwidth(corner);
  vec2 line = 1.0 - smoothstep(vec2(0.0), 1.4 * pixel + 0.025, inside);
  float wide = max(pixel.x, pixel.y);
  color *= 1.0 - edges * 0.38 * max(line.x, line.y) * (1.0 - smoothstep(0.12, 0.45, wide));
  vec3 screen = pow(color, vec3(1.0 / 2.2));
  screen = mix(screen, ground, 0.72 * unseen);
  screen = mix(screen, ground, 0.55 * smoothstep(0.6 * reach, 1.5 * reach, away));
  shown = vec4(screen, opacity);
}`;

export const GROUND = 0x14181d;

/** The voxels of one picture of the scene. */
export class Voxels extends Group {
  private readonly geometry = new InstancedBufferGeometry();
  private readonly material: ShaderMaterial;
  private readonly depth: ShaderMaterial;
  private readonly depthMesh: Mesh;
  private faces?: Faces;
  painting?: Painting;

  constructor() {
    super();
    const quad = new Float32Array([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0]);
    this.geometry.setAttribute('position', new BufferAttribute(quad, 3));
    this.geometry.setIndex([0, 1, 2, 0, 2, 3]);
    const uniforms = {
      resolution: { value: 1 },
      origin: { value: [0, 0, 0] },
      opacity: { value: 1 },
      edges: { value: 1 },
      ground: { value: new Color().setHex(GROUND, 'srgb-linear') },
      reach: { value: 40 },
    };
    const shared = { uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, glslVersion: GLSL3 } as const;
    this.material = new ShaderMaterial({ ...shared, depthFunc: LessEqualDepth });
    // Where voxels are seen through, depth is drawn first, so that of several behind each other the nearest alone shows.
    this.depth = new ShaderMaterial({ ...shared, colorWrite: false, side: DoubleSide });
    this.depthMesh = new Mesh(this.geometry, this.depth);
    const mesh = new Mesh(this.geometry, this.material);
    mesh.frustumCulled = this.depthMesh.frustumCulled = false;
    this.depthMesh.renderOrder = 1;
    mesh.renderOrder = 2;
    this.add(this.depthMesh, mesh);
    this.setOpacity(1);
  }

  show(painting: Painting, grid: GridInfo): void {
    this.painting = painting;
    const faces = (this.faces = facesOf(painting, this.faces));
    const cells = new InstancedBufferAttribute(faces.cells.subarray(0, 4 * faces.count), 4);
    const colors = new InstancedBufferAttribute(faces.colors.subarray(0, faces.count), 1);
    cells.gpuType = colors.gpuType = IntType;
    this.geometry.dispose(); // the buffers of the frame before would stay on the GPU
    this.geometry.setAttribute('cell', cells);
    this.geometry.setAttribute('color', colors);
    this.geometry.instanceCount = faces.count;
    const uniforms = this.material.uniforms;
    uniforms.resolution.value = grid.resolution;
    uniforms.origin.value = grid.origin;
    uniforms.reach.value = (Math.min(grid.size[0], grid.size[1]) * grid.resolution) / 2;
  }

  get faceCount(): number {
    return this.faces?.count ?? 0;
  }

  setOpacity(value: number): void {
    this.material.uniforms.opacity.value = value;
    this.material.transparent = value < 1;
    this.depthMesh.visible = value < 1;
  }

  setEdges(on: boolean): void {
    this.material.uniforms.edges.value = on ? 1 : 0;
  }
}
