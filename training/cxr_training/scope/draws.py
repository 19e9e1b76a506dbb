"""Films, changed as they may come, and pictures made by rule, for the scope gate to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_training.films.augmentation import augment
from cxr_training.recipe.sections import Augmentation
from cxr_training.scope.negatives import RULES, Source, make
from cxr_training.scope.planes import Planes, gate_inputs

UNKNOWN = -1.0  # a target that nobody knows: whether a picture of no chest shows an adult
FILM = "film"
_ADULT_TURNS = 6  # copies of each adult film, which are few
_PER_RULE = 300
_PER_RULE_OF = {"photographs and drawings": 1500}


@dataclass(frozen=True)
class Examples:
    """Inputs and what the network shall say about them.

    Attributes:
        planes: uint8 [N, 48, 48].
        targets: float32 [N, 2], in the order of `net.OUTPUTS`; `UNKNOWN` counts for nothing.
        kinds: [N], `FILM` or the rule.
    """

    planes: Planes
    targets: NDArray[np.float32]
    kinds: NDArray[np.str_]

    def without(self, rules: Sequence[str]) -> Examples:
        """Leave out what some rules made."""
        kept = ~np.isin(self.kinds, rules)
        return Examples(self.planes[kept], self.targets[kept], self.kinds[kept])

    def thinned(self, step: int) -> Examples:
        """Every so manieth."""
        return Examples(self.planes[::step], self.targets[::step], self.kinds[::step])


@dataclass(frozen=True)
class Material:
    """Planes of 96 x 96 pixels to draw from, and how far films are changed."""

    children: Planes
    adults: Planes
    pictures: Planes
    ranges: Augmentation


def changed(films: Planes, ranges: Augmentation, rng: np.random.Generator) -> Planes:
    """Each film once, as it might come from elsewhere, at its size."""
    copies = [augment(film, films, ranges, rng) for film in films]
    return np.stack(copies).round().astype(np.uint8)


def draw(material: Material, seed: int) -> Examples:
    """Films as they are, films changed, and pictures by every rule."""
    rng = np.random.default_rng(seed)
    adults = np.repeat(material.adults, _ADULT_TURNS, axis=0)
    copies = [changed(films, material.ranges, rng) for films in (material.children, adults)]
    films = [material.children, copies[0], material.adults, copies[1]]
    source = Source(np.concatenate(films), material.pictures, rng)
    counts = {rule: _PER_RULE_OF.get(rule, _PER_RULE) for rule in RULES}
    made = [make(rule, source, count) for rule, count in counts.items()]
    children, all_films = len(films[0]) + len(films[1]), sum(map(len, films))
    in_scope = [[0, 0]] * children + [[0, 1]] * (all_films - children)
    others = [[1, UNKNOWN]] * sum(counts.values())
    kinds = [FILM] * all_films + [rule for rule, n in counts.items() for _ in range(n)]
    return Examples(
        gate_inputs(np.concatenate([*films, *made])),
        np.concatenate([in_scope, others]).astype(np.float32),
        np.array(kinds),
    )


def joined(parts: list[Examples]) -> Examples:
    """Several draws as one."""
    return Examples(
        np.concatenate([part.planes for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.kinds for part in parts]),
    )
