"""What every model of this data set is for, in words; specs and cards carry it."""

from __future__ import annotations

from cxr_edge.spec import Use

TASK = "Probability of pneumonia on a frontal chest x-ray"
LICENSE = "Apache-2.0"
DATA_SOURCE = (
    "Kermany, Zhang, Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images "
    "for Classification, Mendeley Data (2018), doi:10.17632/rscbjbr9sj, CC BY 4.0; described in "
    "Kermany et al., Cell 172:1122 (2018). Every image was resized to 224x224 for this project."
)

USE = Use(
    intended_use=(
        "Sorting a list of unread frontal chest x-rays so that likely pneumonia is read first. "
        "Every study is still read by a physician."
    ),
    population=(
        "children aged 1 to 5 of one hospital (Guangzhou Women and Children's Medical Center), "
        "poor films removed beforehand"
    ),
    age_years=(1.0, 5.0),
    views=("anterior-posterior", "posterior-anterior"),
    exclusions=(
        "adults and older children",
        "infants under one year",
        "lateral views",
        "any finding other than pneumonia",
        "use as a diagnosis, or to leave a study unread",
    ),
    known_failure_modes=(
        "normal films from another scanner or another series score higher than in validation",
        "films with inverted grey levels, blank films and photographs still get a score",
        "burned-in letters, borders and collimation can move a score",
        "the aspect ratio is not kept, and small opacities can vanish at this resolution",
    ),
)

# Test accuracies that the source report prints (n = 596), the mark for the balanced point.
REPORT_ACCURACY = {
    "cnn3_50": 0.857,
    "cnn4_50": 0.654,
    "cnn3_128": 0.867,
    "resnet50v2_50": 0.786,
}
