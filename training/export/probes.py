"""The rows on which a graph must agree with its estimator: the places where exports go wrong, besides real rows."""

from dataclasses import dataclass

import numpy as np

from training.export.trees import Float32Array

# Rows in which a single real value was moved onto a split, so that the rest of the path is a real one.
_SINGLE_MOVES = 256
_RANDOM_NAN_ROWS = 64
# Magnitudes that float32 holds but sums and products of it may not.
_EXTREMES = (0.0, -0.0, 1e-35, -1e-35, 1e-38, -1e-38, 1e30, -1e30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Rows float32[N, F] and what they hold."""

    rows: Float32Array
    real_rows: int
    thresholds_covered: int


def probe_rows(real: Float32Array, thresholds: list[Float32Array], rng: np.random.Generator) -> Probes:
    """Real rows, rows on every threshold and one float32 step to both sides, rows with NaN, an all-missing row.

    Args:
        real: float32[N, F], at least one row.
        thresholds: per feature, the distinct values that are to be met exactly; none where it has none.
        rng: chooses rows and moves.
    """
    parts = [real, _missing_rows(real, rng), _extreme_rows(real)]
    if any(len(values) for values in thresholds):
        parts += [_rows_on_thresholds(real, thresholds, rng), _single_moves(real, thresholds, rng)]
    return Probes(
        rows=np.concatenate(parts),
        real_rows=len(real),
        thresholds_covered=sum(len(values) for values in thresholds),
    )


def _steps(values: Float32Array) -> Float32Array:
    """Each value, the next float32 above and the next below, behind each other; infinities are cut to finite."""
    with np.errstate(over="ignore"):
        above, below = (np.nextafter(values, np.float32(direction)) for direction in (np.inf, -np.inf))
    limit = np.finfo(np.float32).max
    return np.asarray(np.clip(np.concatenate([values, above, below]), -limit, limit), dtype=np.float32)


def _rows_on_thresholds(real: Float32Array, thresholds: list[Float32Array], rng: np.random.Generator) -> Float32Array:
    """Rows whose every feature stands on or beside one of its thresholds, so that few rows hold all of them."""
    moved = [rng.permutation(_steps(values)) for values in thresholds]
    count = max(len(values) for values in moved)
    rows = real[np.arange(count) % len(real)].copy()
    for feature, values in enumerate(moved):
        if len(values):
            rows[:, feature] = np.resize(values, count)
    return rows


def _single_moves(real: Float32Array, thresholds: list[Float32Array], rng: np.random.Generator) -> Float32Array:
    tested = [feature for feature, values in enumerate(thresholds) if len(values)]
    rows = real[rng.integers(len(real), size=_SINGLE_MOVES)].copy()
    for row in rows:
        feature = int(rng.choice(tested))
        row[feature] = rng.choice(_steps(thresholds[feature]))
    return rows


def _missing_rows(real: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Each feature missing once, half of all values missing at random, and nothing known at all."""
    count = real.shape[1]
    each = real[np.arange(count) % len(real)].copy()
    each[np.arange(count), np.arange(count)] = np.nan
    some = real[rng.integers(len(real), size=_RANDOM_NAN_ROWS)].copy()
    some[rng.random(some.shape) < 0.5] = np.nan  # noqa: PLR2004 - half
    return np.concatenate([each, some, np.full((1, count), np.nan, dtype=np.float32)])


def _extreme_rows(real: Float32Array) -> Float32Array:
    return np.repeat(np.array(_EXTREMES, dtype=np.float32)[:, np.newaxis], real.shape[1], axis=1)
