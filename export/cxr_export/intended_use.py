"""The intended use of a model, in words; specs and cards carry it.

Only a model trained on the public Kermany films is said to be about them.
"""

from __future__ import annotations

from dataclasses import replace

from cxr_edge.errors import ExportError
from cxr_edge.model.spec import Use

KERMANY_TRAIN_SHA256 = "eeee78c97d066f7d5d51133d36ccbed15d67649cda4f26388383305a849cbb25"
TASK = "Probability of pneumonia on a frontal chest x-ray"
LICENSE = "Apache-2.0"
NOT_STATED = "not stated"
VIEWS = ("anterior-posterior", "posterior-anterior")
KERMANY = (
    "Kermany, Zhang, Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images "
    "for Classification, Mendeley Data (2018), doi:10.17632/rscbjbr9sj, CC BY 4.0; described in "
    "Kermany et al., Cell 172:1122 (2018). Every image was resized to 224x224 for this project."
)

_INTENDED_USE = (
    "Sorting a list of unread frontal chest x-rays so that likely pneumonia is read first. "
    "Every study is still read by a physician."
)
_EXCLUSIONS = (
    "lateral views",
    "any finding other than pneumonia",
    "use as a diagnosis, or to leave a study unread",
)
_FAILURE_MODES = (
    "films of another scanner or series can score higher or lower than in validation",
    "inverted, blank and clipped films and pictures of something else are scored; those that are "
    "recognised stand in the attention band",
    "letters, collimation, margins and borders with text can move a score; a plain border all "
    "around a film is taken off",
    "the aspect ratio is not kept, and small opacities can vanish at this resolution",
)

KERMANY_USE = Use(
    intended_use=_INTENDED_USE,
    population=(
        "children aged 1 to 5 of one hospital (Guangzhou Women and Children's Medical Center), "
        "poor films removed beforehand"
    ),
    age_years=(1.0, 5.0),
    views=VIEWS,
    exclusions=("adults and older children", "infants under one year", *_EXCLUSIONS),
    known_failure_modes=(
        "normal films of another series of the same hospital score higher than in validation",
        "a film cropped closer than usual scores higher: cut by 10 % a side, a large share of the "
        "normal films is flagged",
        "people of another age and other views are scored; they stand in the attention band where "
        "a DICOM header says so or the scope gate doubts them, which misses some",
        *_FAILURE_MODES,
    ),
)

# Nothing is known but what every chest film model of this kind has in common.
UNKNOWN_USE = Use(
    intended_use=_INTENDED_USE,
    population="not stated: the people in the training data named under training",
    age_years=(0.0, 120.0),
    views=(NOT_STATED,),
    exclusions=_EXCLUSIONS,
    known_failure_modes=_FAILURE_MODES,
)

# Test accuracies that the source report prints (n = 596), the mark for the balanced point.
REPORT_ACCURACY = {
    "cnn3_50": 0.857,
    "cnn4_50": 0.654,
    "cnn3_128": 0.867,
    "resnet50v2_50": 0.786,
}


def with_stated(
    use: Use, population: str, ages: tuple[float, float] | None, views: tuple[str, ...]
) -> Use:
    """Add what the maker of a model states of its films, where that is not known already.

    Args:
        use: of the model as far as its run tells.
        population: people in the training films, or an empty string.
        ages: youngest and oldest age in completed years, both inside, or None.
        views: names of the views, or none.

    Raises:
        ExportError: the run learnt from the public films, of which all this is known.
    """
    if use == KERMANY_USE and (population or ages or views):
        raise ExportError("population, ages and views of the public films are known")
    return replace(
        use,
        population=population or use.population,
        age_years=ages or use.age_years,
        views=views or use.views,
    )
