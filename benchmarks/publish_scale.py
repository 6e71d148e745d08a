"""The parts of the results page about memory and large files."""

from __future__ import annotations

from collections.abc import Callable

from pages import RESULTS, read, table


def scale_sections() -> list[str]:
    """Everything of this kind that was measured."""
    makers: dict[str, Callable[[], str]] = {"planned_memory": planned_memory, "prediction_memory": prediction_memory}
    return [make() for name, make in makers.items() if (RESULTS / f"{name}.json").exists()]


def planned_memory() -> str:
    """Planned beside measured memory: a row for each shape, method and bit width."""
    content = read("planned_memory")
    rows = [["encoder", "method", "bits", "planned, MB", "measured, MB", "plan is off by"]]
    for cell in content["cells"]:
        blocks, width, _ = content["shapes"][cell["shape"]]
        figures = [f"{cell['planned']:.0f}", f"{cell['measured']:.0f}", f"{cell['error']:+.0%}"]
        rows.append([f"{blocks} blocks of width {width}", cell["method"], str(cell["bits"]), *figures])
    errors = sorted(abs(cell["error"]) for cell in content["cells"])
    within = sum(error <= 0.15 for error in errors)
    note = (
        "`labtune plan` beside the peak of a training (a few steps of 1,024 tokens, on CPU), both without Python, "
        "its libraries and the records. BERT-shaped encoders with random weights. A plan counts bytes that are alive; "
        "GNU's allocator holds more, for it leaves holes between blocks that come and go. Within 15 %: "
        f"{within} of {len(errors)}; the median is off by {errors[len(errors) // 2]:.0%}."
    )
    return section("Planned and measured memory", content["command"], note, rows)


def prediction_memory() -> str:
    """Memory of predictions: a row for each size of the file."""
    content = read("prediction_memory")
    rows = [["records", "file, MB", "peak memory, MB", "records/s"]]
    for run in content["runs"]:
        rows.append([f"{run['records']:,}", f"{run['file_mb']:.1f}", f"{run['peak_mb']:.0f}", f"{run['speed']:,.0f}"])
    note = (
        "`labtune predict` on files of short texts with the encoder `tiny`; memory is that of the whole process. Other "
        "work ran on the machine, so speeds are lower bounds."
    )
    return section("Predicting files of any size", content["command"], note, rows)


def section(title: str, command: str, note: str, rows: list[list[str]]) -> str:
    """A heading, the command, what to know, and the table."""
    return "\n".join([f"## {title}\n", f"`{command}`\n", f"{note}\n", table(rows), ""])
