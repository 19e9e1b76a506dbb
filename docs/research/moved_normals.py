"""Four tries against normals that move, with `cnn3_50`: what docs/training.md says of them.

    python docs/research/moved_normals.py FILMS EPOCHS

FILMS holds NORMAL and PNEUMONIA. Trained without the style band of normals that looks most like
pneumonia, judged on that band and on changed copies. An hour for 20 epochs on one core.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from cxr_edge.evaluate.job import FOLDER_NAMES
from cxr_training.films import data, style
from cxr_training.films.augmentation import augment
from cxr_training.films.copies import CHANGES, DRAWS, changed_copies
from cxr_training.fit.predictions import logits_of
from cxr_training.nets import cnn3_50
from cxr_training.nets.blocks import OUTPUT_DENSE_LAYER, NetOptions

Pixels = NDArray[np.uint8]
DRAWN, BATCH, BANDS, RATE, HAZY, ADVERSARY = 24, 64, 5, 2e-3, 0.5, 0.3
OPTIONS = NetOptions(normalization="per_image", batchnorm_momentum=0.95, dropout_scale=0.0)
Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class Films:
    """Training films, each changed `DRAWN` times, and the films that were held out.

    Attributes:
        draws: uint8 [draws, N, S, S].
        labels: float32 [N].
        looks: how much each resembles a pneumonia film by style alone, [N].
        sizes: logarithm of the bytes of each file, [N].
        held: films that nothing learnt from; the last style band and a share of the pneumonias.
    """

    draws: Pixels
    labels: NDArray[np.float32]
    looks: NDArray[np.float64]
    sizes: NDArray[np.float64]
    held: data.ImageSet
    held_looks: NDArray[np.float64]

    @classmethod
    def of(cls, folder: Path) -> Films:
        """Read, measure, split by style, change."""
        found = data.labelled_set(folder, FOLDER_NAMES)
        files = data.labelled_files(found, FOLDER_NAMES)
        images, _ = data.load_images(files, cnn3_50.SIZE, lambda: None, FOLDER_NAMES)
        figures = style.all_statistics(images.files)
        looks = style.propensity(figures, images, 42)
        is_held = style.style_folds(images, looks, BANDS, 42) == BANDS
        train, held = (images.subset(np.flatnonzero(part)) for part in (~is_held, is_held))
        films = train.pixels[..., 0]
        draws = np.empty((DRAWN, *films.shape), np.uint8)
        for draw, index in np.ndindex(draws.shape[:2]):
            random = np.random.default_rng((draw, index))
            draws[draw, index] = augment(films[index], films, CHANGES, random).round()
        sizes = np.log(figures[~is_held, -1])
        return cls(draws, train.labels, looks[~is_held], sizes, held, looks[is_held])

    @property
    def bands(self) -> NDArray[np.int64]:
        """Class and style band of each film, 0 to 9."""
        group = np.zeros(len(self.labels), np.int64)
        for label in (0, 1):
            these = self.labels == label
            edges = np.quantile(self.looks[these], np.arange(1, BANDS) / BANDS)
            group[these] = BANDS * label + np.searchsorted(edges, self.looks[these])
        return group


def styles(planes: Pixels) -> NDArray[np.float64]:
    """`style.STATISTICS` of changed films uint8 [N, S, S], but for the bytes of a file: [N, 13]."""
    grey, margin = planes.astype(np.float32), 2
    inner = grey[:, margin:-margin, margin:-margin]
    fine = [
        np.maximum(1e-3, np.abs(np.diff(each, 2, axis=2)).mean((1, 2)))
        for each in (inner, inner.transpose(0, 2, 1))
    ]
    edges = (grey[:, :margin], grey[:, -margin:], grey[..., :margin], grey[..., -margin:])
    spread = np.percentile(grey, (1, 99), axis=(1, 2))
    figures = [grey.mean((1, 2)), grey.std((1, 2)), *spread]
    figures += [(grey >= 250).mean((1, 2)), (grey <= 5).mean((1, 2))]
    figures += [edge.mean((1, 2)) for edge in edges] + [*fine, np.log(fine[0] / fine[1])]
    return np.stack(figures, axis=1)


def hazed(plane: Pixels, random: np.random.Generator) -> Pixels:
    """Softer and hazier: blur up to 3 % of the side, and a veil that differs over the film."""
    soft = ndimage.gaussian_filter(plane.astype(np.float32), random.uniform(0, 0.03 * len(plane)))
    places = random.uniform(0.5, 1, (3, 3)).astype(np.float32)
    veil = random.uniform(0, 0.4) * ndimage.zoom(places, len(plane) / 3, order=1)
    seen: Pixels = (
        (soft * (1 - veil) + veil * random.uniform(100, 220)).clip(0, 255).astype(np.uint8)
    )
    return seen


class Trainer:
    """One network on its way, in one of four ways: `plain`, `hazy`, `reversal` or `dro`.

    `reversal`: a second head learns the style of a film, less that of its class, from the 64
    features before the answer, and its gradient is turned round (Ganin, Lempitsky, ICML 2015).
    `dro`: the loss is that of ten groups, class by style band, the worst weighing most
    (Sagawa et al., ICLR 2020; step 0.01, weight decay tenfold).
    """

    def __init__(self, films: Films, way: str, seed: int) -> None:
        """Begin."""
        keras.utils.set_random_seed(seed)
        self.films, self.way, self.seed, self.epoch = films, way, seed, 0
        self.model = cnn3_50.build(OPTIONS)
        decay = 1e-2 if way == "dro" else 1e-3
        self.optimizer = keras.optimizers.AdamW(RATE, weight_decay=decay)
        self.optimizer.build(self.model.trainable_variables)
        self._second = keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(len(style.STATISTICS)),
            ]
        )
        self._second_optimizer = keras.optimizers.Adam(1e-3)
        self._groups = tf.Variable(np.full(2 * BANDS, 0.5 / BANDS, np.float32))
        self._against = tf.Variable(0.0)
        outputs = [self.model.get_layer(n).output for n in ("head_relu", OUTPUT_DENSE_LAYER)]
        self._inside = keras.Model(self.model.input, outputs)
        self._step = tf.function(self._one_step, reduce_retracing=True)

    def until(self, epochs: int, of: int) -> None:
        """Go on to an epoch, with the learning rate of a training of so many."""
        count = len(self.films.labels)
        steps = -(-count // BATCH)
        classes = self.films.labels.astype(int)
        weights = count / 2 / np.bincount(classes)[classes]
        bands = self.films.bands
        while self.epoch < epochs:
            random = np.random.default_rng((self.seed, self.epoch))
            planes, looks = self._planes(random), self._looks()
            self._against.assign(ADVERSARY * min(1, 3 * self.epoch / of))
            order = random.permutation(count)
            for step in range(steps):
                part = order[step * BATCH : (step + 1) * BATCH]
                done = self.epoch * steps + step + 1
                warm = min(1, done / steps)
                cosine = 0.5 + 0.5 * np.cos(np.pi * max(0, done - steps) / ((of - 1) * steps))
                self.optimizer.learning_rate.assign(RATE * warm * cosine)
                batch = (planes[part], self.films.labels[part], weights[part].astype(np.float32))
                self._step(*batch, bands[part], looks[part])
            self.epoch += 1

    def _planes(self, random: np.random.Generator) -> Pixels:
        turn, place = divmod(self.epoch, DRAWN)
        draw = np.random.default_rng((self.seed, turn, 1)).permutation(DRAWN)[place]
        planes: Pixels = self.films.draws[draw]
        if self.way != "hazy":
            return planes
        chosen = (self.films.labels == 0) & (random.random(len(planes)) < HAZY)
        return np.stack([hazed(p, random) if c else p for p, c in zip(planes, chosen, strict=True)])

    def _looks(self) -> NDArray[np.float32]:
        """Style of the films of this epoch, less that of their class: [N, 14]."""
        looks = np.zeros((len(self.films.labels), len(style.STATISTICS)))
        if self.way == "reversal":
            planes = self._planes(np.random.default_rng())
            looks = np.column_stack([styles(planes), self.films.sizes])
            for label in (0, 1):
                these = self.films.labels == label
                looks[these] -= looks[these].mean(0)
            looks = (looks / (looks.std(0) + 1e-6)).clip(-4, 4)
        return looks.astype(np.float32)

    def _one_step(self, planes: Any, labels: Any, weights: Any, bands: Any, looks: Any) -> None:
        image = tf.repeat(tf.cast(planes, tf.float32)[..., None], 3, -1)
        with tf.GradientTape(persistent=True) as tape:
            features, logits = self._inside(image, training=True)
            each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits[:, 0])
            loss = self._worst(each, bands) if self.way == "dro" else tf.reduce_mean(each * weights)
            if self.way == "reversal":
                seen = tf.reduce_mean((self._second(tf.stop_gradient(features)) - looks) ** 2)
                told = tf.reduce_mean((self._second(features) - looks) ** 2)
                loss -= self._against * told
        own = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, own), own, strict=True))
        if self.way == "reversal":
            others = self._second.trainable_variables
            found = tape.gradient(seen, others)
            self._second_optimizer.apply_gradients(zip(found, others, strict=True))

    def _worst(self, each: Any, bands: Any) -> Any:
        count = tf.math.unsorted_segment_sum(tf.ones_like(each), bands, 2 * BANDS)
        mean = tf.math.unsorted_segment_sum(each, bands, 2 * BANDS) / tf.maximum(count, 1.0)
        raised = self._groups * tf.exp(0.01 * tf.stop_gradient(mean))
        self._groups.assign(raised / tf.reduce_sum(raised))
        return tf.reduce_sum(self._groups * mean)


def judged(model: keras.Model, films: Films) -> str:
    """Areas of films and copies that were held out; then against its hardest fifth of normals."""
    pixels, labels = films.held.pixels, films.held.labels
    scores = [logits_of(model, pixels)]
    scores += [logits_of(model, changed_copies(pixels, draw)) for draw in range(DRAWS)]
    hardest = np.quantile(films.held_looks[labels == 0], 1 - 1 / BANDS)
    band = (labels == 1) | (films.held_looks >= hardest)
    cells = []
    for part in (np.ones_like(band), band):
        plain, *copies = (roc_auc_score(labels[part], each[part]) for each in scores)
        cells += [f"{plain:.4f}", f"{np.mean(copies):.4f}"]
    return " | ".join(cells)


def averaged(members: list[Weights], films: Films) -> keras.Model:
    """A network with the mean of their weights, and batch statistics of its own."""
    model = cnn3_50.build(OPTIONS)
    model.set_weights([np.mean(each, axis=0) for each in zip(*members, strict=True)])
    for step in range(65):
        chosen = np.random.default_rng(step).permutation(films.draws.shape[1])[:BATCH]
        planes = films.draws[step % DRAWN][chosen].astype(np.float32)
        model(np.repeat(planes[..., np.newaxis], 3, axis=-1), training=True)
    return model


def main(folder: Path, epochs: int) -> None:
    """Print a table in Markdown."""
    films = Films.of(folder)

    def say(name: str, model: keras.Model) -> None:
        print(f"| {name} | {judged(model, films)} |", flush=True)  # noqa: T201

    def trained(way: str, seed: int, start: Trainer | None = None) -> Trainer:
        trainer = Trainer(films, way, seed)
        if start:
            trainer.model.set_weights(start.model.get_weights())
            for mine, theirs in zip(
                trainer.optimizer.variables, start.optimizer.variables, strict=True
            ):
                mine.assign(theirs)
            trainer.epoch = start.epoch
        trainer.until(epochs, epochs)
        return trainer

    half = Trainer(films, "plain", 1)
    half.until(epochs // 2, epochs)
    branches = [trained("plain", seed, half) for seed in (1, 2, 3)]
    say("plain, seed 1", branches[0].model)
    say("plain, seed 2", trained("plain", 2).model)
    for way in ("hazy", "reversal", "dro"):
        say(way, trained(way, 1).model)
    say("mean of three", averaged([each.model.get_weights() for each in branches], films))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
