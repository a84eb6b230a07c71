"""Draws latency against load from the samples of `run.py --curve`, as an SVG file.

    python benchmarks/run.py --curve --rounds 3 --seconds 2
    python benchmarks/picture.py benchmarks/results/NAME.json docs/latency.svg

Each server is a line: from one connection to 256, requests/s to the right, the median latency upwards, both logarithmic; the thin
line above it is the 99th percentile. To the right and down is better.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 820, 460, 70, 50, 30, 270
COLOURS = ("#0b6e4f", "#c1440e", "#3d5a98", "#8a6d3b")
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from ``low`` to ``high``, drawn from pixel ``start`` to ``stop``."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return where a value stands."""
        share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Return the powers of ten, and twice and five times them, that lie on the axis."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [tick for power in powers for tick in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if self.low <= tick <= self.high]


def curves(rows: list[dict[str, object]]) -> dict[str, list[Point]]:
    """Return each server's points (requests/s, median ms, 99th percentile ms), by connections: medians over the rounds."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {}
    for row in rows:
        found.setdefault(str(row["name"]), {}).setdefault(int(str(row["connections"])), []).append(row["sample"])  # type: ignore[arg-type]
    out: dict[str, list[Point]] = {}
    for name, by_connections in found.items():
        out[name] = [
            tuple(statistics.median(sample[key] for sample in samples) for key in ("requests_per_s", "p50_ms", "p99_ms"))  # type: ignore[misc]
            for _, samples in sorted(by_connections.items())
        ]
    return out


def line(points: list[tuple[float, float]], colour: str, width: float) -> str:
    """Draw a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def text(x: float, y: float, words: str, anchor: str = "middle", colour: str = "#333") -> str:
    """Write words."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def draw(found: dict[str, list[Point]], title: str) -> str:
    """Return the picture."""
    points = [point for each in found.values() for point in each]
    x = Axis(min(p[0] for p in points) * 0.8, max(p[0] for p in points) * 1.25, LEFT, WIDTH - RIGHT)
    y = Axis(min(p[1] for p in points) * 0.8, max(p[2] for p in points) * 1.25, HEIGHT - BOTTOM, TOP)
    parts = [text(LEFT, 18, title, "start")]
    for tick in x.ticks():
        parts.append(f'<line x1="{x.at(tick):.1f}" y1="{TOP}" x2="{x.at(tick):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#e6e6e6"/>')
        parts.append(text(x.at(tick), HEIGHT - BOTTOM + 18, f"{tick:,.0f}"))
    for tick in y.ticks():
        parts.append(f'<line x1="{LEFT}" y1="{y.at(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y.at(tick):.1f}" stroke="#e6e6e6"/>')
        parts.append(text(LEFT - 8, y.at(tick) + 4, f"{tick:g}", "end"))
    parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "requests/s"), text(18, TOP - 12, "ms", "start")]
    for curve, colour in zip(found.values(), COLOURS, strict=False):
        parts.append(line([(x.at(p[0]), y.at(p[1])) for p in curve], colour, 2.5))
        parts.append(line([(x.at(p[0]), y.at(p[2])) for p in curve], colour, 0.8))
        parts += [f'<circle cx="{x.at(p[0]):.1f}" cy="{y.at(p[1]):.1f}" r="3" fill="{colour}"/>' for p in curve]
    for at, (name, colour) in enumerate(zip(found, COLOURS, strict=False)):
        parts.append(line([(WIDTH - RIGHT + 15, TOP + 14 + 22 * at), (WIDTH - RIGHT + 35, TOP + 14 + 22 * at)], colour, 2.5))
        parts.append(text(WIDTH - RIGHT + 42, TOP + 18 + 22 * at, name, "start"))
    body = "\n".join(parts)
    style = 'font-family="sans-serif" font-size="12"'
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {style}>'
    return f'{frame}\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    document = json.loads(source.read_text(encoding="utf-8"))
    title = "Scaled logistic regression, 30 features, one row a request; 1 to 256 connections, one core"
    target.write_text(draw(curves(document["rows"]), title), encoding="utf-8")
