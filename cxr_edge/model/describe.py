"""A model's spec in words, for `cxr-edge models show`."""

from __future__ import annotations

from cxr_edge.model.files import Speed
from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.statistics.operating_points import OnCopies


def describe(spec: ModelSpec) -> str:
    """A spec for people, every figure from the spec and as its card prints it."""
    lines = [
        f"{spec.name} {spec.version}, {spec.task}",
        f"  network: {spec.architecture.parameters:,} parameters, input {spec.size}x{spec.size}",
        f"  intended use: {spec.use.intended_use}",
        f"  population: {spec.use.population}",
        *_evidence(spec),
        *_files(spec),
        *_operating_points(spec),
        *_evaluations(spec),
        f"  licence: {spec.license}; data: {spec.data_source}",
    ]
    return "\n".join(lines)


def describe_scope(spec: ScopeSpec) -> str:
    """A scope gate's spec for people."""
    limits = {
        name: f"off, {limit.chosen_by}"
        if limit.threshold is None
        else f"limit {limit.threshold:.6f} ({limit.chosen_by})"
        for name, limit in spec.limits.items()
    }
    lines = [
        f"{spec.name} {spec.version}, scope gate beside every model",
        f"  network: {spec.architecture.parameters:,} parameters, input {spec.size}x{spec.size}",
        *(f"  {name}: {text}" for name, text in limits.items()),
        *(
            f"  {rate.data}: {rate.n} pictures, {rate.out_of_scope} out of scope, "
            f"{rate.adult} adult"
            for rate in spec.measured
        ),
        *(
            f"  {kind}: {file.name}, sha256 {file.sha256[:16]}, "
            f"parity {file.parity.max_abs_difference:.1e} on {file.parity.samples} images"
            for kind, file in spec.files.items()
        ),
        f"  licence: {spec.license}; data: {spec.data_source}",
    ]
    return "\n".join(lines)


def _evidence(spec: ModelSpec) -> list[str]:
    field, (height, width) = spec.receptive_field, spec.evidence_shape
    steps = f", the next {field.stride:.0f} further each" if spec.can_point else ""
    return [
        f"  evidence map: {height}x{width} cells, "
        f"the first around pixel {field.first_centre}{steps}; "
        f"each sees {field.size}x{field.size} pixels"
        + ("" if spec.can_point else "; this model cannot point")
        + (f"; nothing sees the last {spec.unseen_edge} columns and rows" * bool(spec.unseen_edge))
    ]


def _files(spec: ModelSpec) -> list[str]:
    return [
        f"  {kind}: {file.name}, {file.bytes / 1e6:.2f} MB, weights {file.arithmetic()}, "
        f"parity {file.parity.max_abs_difference:.1e} on {file.parity.samples} images"
        + (f"\n    {speed_in_words(file.speed)}" if file.speed else "")
        for kind, file in spec.files.items()
    ]


def speed_in_words(speed: Speed) -> str:
    """Measured speed and its machine, as `models show` and cards print them."""
    return (
        f"{speed.ratio:.2f} times as fast as {speed.reference} (CPU time, batches of "
        f"{speed.batch_size}, threads: {speed.threads}, {speed.cpu}, {speed.instruction_set}, "
        f"{speed.runtime})"
    )


def _operating_points(spec: ModelSpec) -> list[str]:
    fewer_bits = any(file.precision != "float32" for file in spec.files.values())
    heading = "  thresholds chosen on the float32 network, figures of this one:"
    return [heading] * fewer_bits + [
        f"  {name}: threshold {point.threshold:.6f} ({point.chosen_by}), sensitivity "
        f"{with_interval(point.sensitivity)}, specificity {with_interval(point.specificity)}, "
        f"{point.data}" + _on_copies(point.copies)
        for name, point in spec.operating_points.items()
    ]


def _on_copies(copies: OnCopies | None) -> str:
    if copies is None:
        return ""
    return (
        f"; on their changed copies sensitivity {with_interval(copies.sensitivity)}, specificity "
        f"{with_interval(copies.specificity)}"
    )


def _evaluations(spec: ModelSpec) -> list[str]:
    lines = []
    for test in spec.evaluations:
        counts = ", ".join(f"{count} {name}" for name, count in test.counts.items())
        lines.append(
            f"  {test.data}, not used to set a threshold ({counts}): "
            f"AUC {with_interval(test.auc)} by patient"
        )
        lines += [
            f"    {name}: accuracy {with_interval(shares.accuracy)}, sensitivity "
            f"{with_interval(shares.sensitivity)}, specificity {with_interval(shares.specificity)}"
            for name, shares in test.operating_points.items()
        ]
    return lines
