# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Colours: sun, sky, shadows, fog, wet ground, lamps at night, exposure and noise."""

from __future__ import annotations

import numba
import numpy as np

from flashocc_ros.data.synthetic.materials import (
    BARK,
    BRICK,
    CLOTH,
    CONCRETE,
    FACADE,
    GLASS,
    GLOW,
    LEAVES,
    MESH,
    METAL,
    PAINT,
    RUBBER,
    STRIPES,
)
from flashocc_ros.data.synthetic.raster import FAR_M, ground_hit, hash32, hash_cell, sunlit
from flashocc_ros.data.synthetic.solids import unit_normal
from flashocc_ros.data.synthetic.street import DRIVEABLE, base_height
from flashocc_ros.data.synthetic.textures import facade, ground_color, value_noise
from flashocc_ros.labels import FREE

_GAMMA = (255.0 * np.clip(1.0 - np.exp(-1.5 * np.arange(4097) / 1024.0), 0, 1) ** (1 / 2.2)).astype(np.float32)


@numba.njit(cache=True, fastmath=True, nogil=True)
def _sky(light, dx, dy, dz, seed):  # type: ignore[no-untyped-def]
    up = min(max(dz, 0.0), 1.0)
    k = np.sqrt(up)
    r = light.horizon[0] * (1 - k) + light.zenith[0] * k
    g = light.horizon[1] * (1 - k) + light.zenith[1] * k
    b = light.horizon[2] * (1 - k) + light.zenith[2] * k
    if light.clouds > 0 and dz > 0.02:
        x, y = dx / (dz + 0.08), dy / (dz + 0.08)
        n = value_noise(x * 1.2, y * 1.2, seed) * 0.6 + value_noise(x * 3.5, y * 3.5, seed) * 0.4
        c = min(max((n - 0.75 + 0.5 * light.clouds) * 4.0, 0.0), 1.0) * min(1.0, dz * 6)
        w = 0.45 + 0.6 * (light.sun_color[1] * 0.5)
        r, g, b = r * (1 - c) + (w + 0.1) * c, g * (1 - c) + w * c, b * (1 - c) + w * c
    toward = dx * light.sun[0] + dy * light.sun[1] + dz * light.sun[2]
    if toward > 0.9 and light.clouds > 0:
        glow = ((toward - 0.9) * 10) ** 6 * 1.5
        r += light.sun_color[0] * glow
        g += light.sun_color[1] * glow
        b += light.sun_color[2] * glow
    return r, g, b


@numba.njit(cache=True, fastmath=True, nogil=True)
def shade_camera(  # type: ignore[no-untyped-def]
    solids, ground, light, lamps, headlamps, shadow, tops, origin, world_from_camera, k, seed, noise_seed,
    depth, index, rgb, label, instance, rays=None,
):  # fmt: skip
    """Finish a picture whose solids are drawn: ground, sky and colours.

    In: ``depth`` and ``index`` of ``draw_solids``. Out: ``rgb`` (H, W, 3) uint8, ``label`` (H, W) uint8 (free = sky),
    ``instance`` (H, W) int32, ``depth`` metres (0 = sky). ``rays`` as in ``draw_solids_by_rays``, None for a pinhole;
    pixels without one are black.
    """
    height, width = depth.shape
    sun = light.sun
    below = origin[2] - base_height(ground, origin[0], origin[1])
    for v in range(height):
        last = -1.0
        y_n = (v - k[1, 2]) / k[1, 1]
        for u in range(width):
            if rays is None:
                x_n = (u - k[0, 2]) / k[0, 0]
                dx = world_from_camera[0, 0] * x_n + world_from_camera[0, 1] * y_n + world_from_camera[0, 2]
                dy = world_from_camera[1, 0] * x_n + world_from_camera[1, 1] * y_n + world_from_camera[1, 2]
                dz = world_from_camera[2, 0] * x_n + world_from_camera[2, 1] * y_n + world_from_camera[2, 2]
            else:
                x_n, y_r, z_r = rays[v, u, 0], rays[v, u, 1], rays[v, u, 2]
                if x_n == 0 and y_r == 0 and z_r == 0:
                    label[v, u], instance[v, u], depth[v, u], last = FREE, 0, 0.0, -1.0
                    rgb[v, u, :] = 0
                    continue
                dx = world_from_camera[0, 0] * x_n + world_from_camera[0, 1] * y_r + world_from_camera[0, 2] * z_r
                dy = world_from_camera[1, 0] * x_n + world_from_camera[1, 1] * y_r + world_from_camera[1, 2] * z_r
                dz = world_from_camera[2, 0] * x_n + world_from_camera[2, 1] * y_r + world_from_camera[2, 2] * z_r
            z = depth[v, u]
            i = index[v, u]
            t, edge, s, d, paved, side = -1.0, 0.0, 0.0, 0.0, False, -1
            limit = min(z, FAR_M)
            if dz < -1e-4 and -0.3 * below / dz < limit:
                guess = last if last > 0 else min(-below / dz, FAR_M)
                t, edge, s, d, paved, side = ground_hit(
                    ground, origin[0], origin[1], origin[2], dx, dy, dz, guess, limit
                )
            last = t
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            r, g, b, shine, glass, glow = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            nx, ny, nz = 0.0, 0.0, 1.0
            is_sky = False
            px, py, pz = 0.0, 0.0, 0.0
            if t > 0 and t < z:
                z = t
                px, py, pz = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
                r, g, b, shine, cls = ground_color(ground, px, py, edge, s, d, paved, side, t, k[0, 0], seed)
                label[v, u] = cls
                instance[v, u] = 0
                shine *= light.wet
            elif i >= 0:
                px, py, pz = origin[0] + z * dx, origin[1] + z * dy, origin[2] + z * dz
                rot, half, c = solids.rotation[i], solids.half[i], solids.center[i]
                ax, ay, az = px - c[0], py - c[1], pz - c[2]
                x = rot[0, 0] * ax + rot[1, 0] * ay + rot[2, 0] * az
                y = rot[0, 1] * ax + rot[1, 1] * ay + rot[2, 1] * az
                w = rot[0, 2] * ax + rot[1, 2] * ay + rot[2, 2] * az
                gx, gy, gz = unit_normal(
                    solids.kind[i], solids.taper[i, 0], solids.taper[i, 1], x / half[0], y / half[1], w / half[2]
                )
                gx /= half[0]
                gy /= half[1]
                gz /= half[2]
                norm = 1.0 / max(np.sqrt(gx * gx + gy * gy + gz * gz), 1e-6)
                gx *= norm
                gy *= norm
                gz *= norm
                nx = rot[0, 0] * gx + rot[0, 1] * gy + rot[0, 2] * gz
                ny = rot[1, 0] * gx + rot[1, 1] * gy + rot[1, 2] * gz
                nz = rot[2, 0] * gx + rot[2, 1] * gy + rot[2, 2] * gz
                r, g, b = solids.color[i, 0], solids.color[i, 1], solids.color[i, 2]
                label[v, u] = solids.label[i]
                instance[v, u] = solids.instance[i]
                m = solids.material[i]
                own = int(half[0] * 977 + half[2] * 3181)
                if m == PAINT:
                    shine = 0.35
                elif m == METAL:
                    shine = 0.2
                    ribs = x / 0.5 - np.floor(x / 0.5)
                    if half[0] > 1.5 and ribs < 0.1:
                        r, g, b = r * 0.8, g * 0.8, b * 0.8
                elif m == GLASS:
                    glass = 1.0
                elif m == FACADE:
                    if abs(gz) < 0.5:
                        r, g, b, glass, glow = facade(x, y, w, gx, half[2], own, light.night, r, g, b)
                    else:
                        r, g, b = 0.2, 0.19, 0.18
                elif m == LEAVES:
                    n = hash_cell(int(np.floor((x + y) * 8)), int(np.floor((w - 0.6 * y) * 8)), own)
                    n = 0.55 * n + 0.45 * value_noise((x + y) * 2.0, (w - 0.5 * y) * 2.0, own)
                    q = (0.45 + 1.0 * n) * (0.75 + 0.25 * w / half[2])
                    r, g, b = r * q, g * q, b * q
                    nx += 0.8 * (n - 0.5)
                    nz += 0.5 * (n - 0.3)
                elif m in (BARK, CONCRETE, CLOTH):
                    q = 0.75 + 0.5 * value_noise((x + y) * 9.0, w * 5.0, own)
                    r, g, b = r * q, g * q, b * q
                elif m == BRICK:
                    row = np.floor(w / 0.12)
                    q = 0.75 + 0.4 * hash_cell(int(np.floor((x + y) / 0.3 + 0.5 * (int(row) & 1))), int(row), own)
                    r, g, b = r * q, g * q, b * q
                elif m == STRIPES:
                    if half[0] < 0.4:  # cone
                        band = (w / half[2] + 1) * 0.5
                        if 0.35 < band < 0.55 or 0.68 < band < 0.82:
                            r, g, b = 0.8, 0.8, 0.78
                    else:
                        phase = (x + (w if half[2] > 0.4 or half[1] < 0.2 else 0.0)) / 0.5
                        if phase - np.floor(phase) < 0.5:
                            r, g, b = 0.75, 0.75, 0.73
                elif m == GLOW:
                    glow = 5.0 * light.night + 0.25
                elif m in (MESH, RUBBER):
                    q = 0.8 + 0.4 * hash_cell(int(np.floor(x * 20)), int(np.floor(w * 20)), own)
                    r, g, b = r * q, g * q, b * q
            else:
                is_sky = True
                inv = 1.0 / length
                r, g, b = _sky(light, dx * inv, dy * inv, dz * inv, seed)
                label[v, u] = FREE
                instance[v, u] = 0
                z = 0.0
            if not is_sky:
                seen = sunlit(
                    sun, shadow[0], shadow[1], shadow[2], tops, px + 0.06 * nx, py + 0.06 * ny, pz + 0.06 * nz
                )
                facing = nx * sun[0] + ny * sun[1] + nz * sun[2]
                direct = max(facing, 0.0) * seen
                ambient = 0.62 + 0.38 * nz + 0.12 * seen
                lr = ambient * light.sky_color[0] + direct * light.sun_color[0]
                lg = ambient * light.sky_color[1] + direct * light.sun_color[1]
                lb = ambient * light.sky_color[2] + direct * light.sun_color[2]
                if light.night > 0:
                    for n in range(lamps.shape[0]):
                        ex, ey, ez = lamps[n, 0] - px, lamps[n, 1] - py, lamps[n, 2] - pz
                        far2 = ex * ex + ey * ey + ez * ez
                        if far2 < 400:
                            cosine = (nx * ex + ny * ey + nz * ez) / np.sqrt(far2 + 0.01)
                            pool = max(0.15 + 0.85 * cosine, 0.0) * 7.0 / (4.0 + far2) * (1 - far2 / 400)
                            lr += 1.0 * pool
                            lg += 0.78 * pool
                            lb += 0.5 * pool
                    ex, ey, ez = px - headlamps[0], py - headlamps[1], pz - headlamps[2]
                    far = np.sqrt(ex * ex + ey * ey + ez * ez) + 0.01
                    ahead = (ex * headlamps[3] + ey * headlamps[4] + ez * headlamps[5]) / far
                    if ahead > 0.8:
                        cosine = max(-(nx * ex + ny * ey + nz * ez) / far, 0.0)
                        beam = min((ahead - 0.8) * 6, 1.0) * (0.2 + 0.8 * cosine) * 26.0 / (12.0 + far * far)
                        lr += beam
                        lg += beam
                        lb += 0.9 * beam
                r, g, b = r * lr + r * glow, g * lg + g * glow, b * lb + b * glow
                if shine > 0 or glass > 0:
                    vx, vy, vz = dx / length, dy / length, dz / length
                    across = vx * nx + vy * ny + vz * nz
                    rz = vz - 2 * across * nz
                    fresnel = (1 - min(abs(across), 1.0)) ** 3
                    share = max(glass * (0.12 + 0.6 * fresnel), shine * (0.08 + 0.7 * fresnel))
                    if rz > 0:
                        root = np.sqrt(rz)
                        mr = light.horizon[0] * (1 - root) + light.zenith[0] * root
                        mg = light.horizon[1] * (1 - root) + light.zenith[1] * root
                        mb = light.horizon[2] * (1 - root) + light.zenith[2] * root
                    else:
                        mr, mg, mb = 0.12 * light.sky_color[0], 0.12 * light.sky_color[1], 0.12 * light.sky_color[2]
                    r, g, b = r * (1 - share) + mr * share, g * (1 - share) + mg * share, b * (1 - share) + mb * share
                    if label[v, u] == DRIVEABLE:
                        r, g, b = r * (1 - 0.35 * light.wet), g * (1 - 0.35 * light.wet), b * (1 - 0.35 * light.wet)
                haze = 1.0 - np.exp(-light.fog_per_m * z * length)
                r = r * (1 - haze) + light.horizon[0] * haze
                g = g * (1 - haze) + light.horizon[1] * haze
                b = b * (1 - haze) + light.horizon[2] * haze
            depth[v, u] = z
            h1 = hash32(noise_seed + (v * width + u) * 2)
            h2 = hash32(h1 + 0x9E3779B9)
            common = ((h1 & 255) + ((h1 >> 8) & 255) - 255.0) * (0.0067 * light.noise)
            for ch in range(3):
                value = (r if ch == 0 else g if ch == 1 else b) * light.exposure
                slot = max(min(int(value * 1024.0), 4096), 0)
                own_noise = (((h2 >> (ch * 10)) & 1023) - 511.5) * (0.0024 * light.noise)
                out = _GAMMA[slot] + common + own_noise
                rgb[v, u, ch] = np.uint8(min(max(out + 0.5, 0.0), 255.0))
