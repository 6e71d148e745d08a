"""The parts of the results page about memory and large files."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from pages import RESULTS, read, table

NEAR = 0.15
WHOLE = ("process planned, MB", "process measured, MB", "process off by")


def scale_sections() -> list[str]:
    """Everything of this kind that was measured."""
    makers: dict[str, Callable[[], str]] = {
        "planned_memory": planned_memory,
        "planned_time": planned_time,
        "prediction_memory": prediction_memory,
    }
    return [make() for name, make in makers.items() if (RESULTS / f"{name}.json").exists()]


def planned_memory() -> str:
    """Planned beside measured memory: a row for each shape, method and bit width."""
    content = read("planned_memory")
    kinds = ("training", "process")
    rows = [["encoder", "method", "bits", "planned, MB", "measured, MB", "off by", *WHOLE]]
    for cell in content["cells"]:
        figures = [cell["shape"], cell["method"], str(cell["bits"])]
        for kind in kinds:
            planned, measured = cell["planned"][kind], cell["measured"][kind]
            figures += [f"{planned:.0f}", f"{measured:.0f}", f"{planned / measured - 1:+.0%}"]
        rows.append(figures)
    near = [closeness([(cell["planned"][kind], cell["measured"][kind]) for cell in content["cells"]]) for kind in kinds]
    note = (
        "`labtune plan` beside the peak of a training (a few steps of 1,024 tokens on CPU; random weights): what the "
        "training adds to Python, its libraries and the records, and the whole process. The share that GNU's allocator "
        "loses in holes was found with MiniLM's full training and its LoRA in 32 and 4 bits. "
        f"Without the program {near[0]}; the whole process {near[1]}."
    )
    return section("Planned and measured memory", content["command"], note, rows)


def planned_time() -> str:
    """Planned beside measured time: a row for each shape, method and bit width."""
    content = read("planned_time")
    rows = [["encoder", "method", "bits", "planned, s", "measured, s", "off by"]]
    for cell in content["cells"]:
        planned, measured = cell["planned"], cell["measured"]
        figures = [f"{planned:.3g}", f"{measured:.3g}", f"{planned / measured - 1:+.0%}"]
        rows.append([cell["shape"], cell["method"], str(cell["bits"]), *figures])
    near = closeness([(cell["planned"], cell["measured"]) for cell in content["cells"]])
    note = (
        f"One epoch of {content['records']} texts of 10 to 126 letters, as `labtune plan` estimates it from a few "
        f"steps, and as it took in the same process afterwards: {near}."
    )
    return section("Planned and measured time", content["command"], note, rows)


def closeness(pairs: list[tuple[float, float]]) -> str:
    """Say how near planned figures come to measured ones, in words."""
    errors = sorted(abs(planned / measured - 1) for planned, measured in pairs)
    within = sum(error <= NEAR for error in errors)
    return f"{within} of {len(errors)} are within {NEAR:.0%}, and the median is off by {median(errors):.0%}"


def prediction_memory() -> str:
    """Memory of predictions: a row for each size of the file."""
    content = read("prediction_memory")
    rows = [["records", "file, MB", "peak memory, MB", "records/s"]]
    for run in content["runs"]:
        rows.append([f"{run['records']:,}", f"{run['file_mb']:.1f}", f"{run['peak_mb']:.0f}", f"{run['speed']:,.0f}"])
    note = (
        "`labtune predict` on files of short texts with the encoder `tiny`, 4,096 records at a time; memory is that of "
        "the whole process. Sixteen times as many "
        "records take a twentieth more. Other work ran on the machine, less of it during the first row, so speeds are "
        "lower bounds."
    )
    return section("Predicting files of any size", content["command"], note, rows)


def section(title: str, command: str, note: str, rows: list[list[str]]) -> str:
    """A heading, the command, what to know, and the table."""
    return "\n".join([f"## {title}\n", f"`{command}`\n", f"{note}\n", table(rows), ""])
