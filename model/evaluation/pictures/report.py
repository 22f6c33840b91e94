"""What the bench found, as Markdown."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.evaluation.pictures.file import LOSSLESS_LIMIT, LOSSY_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from model.evaluation.pictures.beside import Comparison, Group
    from stress_test.machine import Machine

_LISTED = 100  # kinds under each heading; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """When, where and how; what was compared, groups of one format and colour behind each other."""

    day: date
    command: str
    machine: Machine
    software: dict[str, str]
    groups: Sequence[Group]

    @property
    def comparisons(self) -> list[Comparison]:
        return [comparison for group in self.groups for comparison in group.comparisons]

    @property
    def wrong(self) -> list[Comparison]:
        """Answers that are another picture."""
        return [comparison for comparison in self.comparisons if comparison.fault is not None]

    @property
    def refused(self) -> list[Comparison]:
        """By us, though they are good pictures, or Pillow at least reads them."""
        return [
            comparison
            for comparison in self.comparisons
            if comparison.refusal is not None
            and (comparison.file.shown is not None or comparison.viewer_refusal is None)
        ]


def generated(run: Run) -> str:
    """The report on the pictures that the bench makes."""
    return f"""# The pictures that Pillow writes, in both decoders

{_head(run)}
- **Pictures**: one photo of 151 x 101 in every colour, format and combination of encoder options of the table in
  `model/evaluation/pictures/variants.py`: {len(run.comparisons)} files. *quick* and *sandbox* count which of our
  decoders was asked.
- **Errors**: mean absolute, of 255, over all pixels and channels: the mean over the files, and the worst file's.
  *encoded*: from the picture that was encoded; *Pillow*: from what Pillow decodes, turned, in sRGB, on white. Up to
  {LOSSLESS_LIMIT:g} are allowed of a lossless file, {LOSSY_LIMIT:g} of a lossy one.

{_table(run.groups, known=True)}

{_time(run.groups)}

{_failures(run)}"""


def of_folder(run: Run) -> str:
    """The report on a user's own pictures."""
    comparisons = run.comparisons
    verdicts = Counter(
        (comparison.refusal is not None, comparison.viewer_refusal is not None) for comparison in comparisons
    )
    return f"""# A folder of pictures, in both decoders

{_head(run)}
- **Read**: {verdicts[False, False]} by both decoders, {verdicts[True, True]} by neither, {verdicts[True, False]} by
  Pillow alone, {verdicts[False, True]} by ours alone.
- **Errors**: mean absolute, of 255, from what Pillow decodes, turned, in sRGB, on white: the mean over the files, and
  the worst file's. A difference is to be looked at: Pillow is wrong about TIFFs of 12 bits, and of 16 bits in planes.

{_table(run.groups, known=False)}

{_time(run.groups)}

{_failures(run)}"""


def _head(run: Run) -> str:
    software = ", ".join(f"{name} {version}" for name, version in run.software.items())
    return f"""- **When, how**: {run.day.isoformat()}, `{run.command}`.
- **Machine**: {run.machine.processor}, {run.machine.cores} cores; load average before the start {run.machine.load:.1f}
  (near 0 on an idle machine).
- **Software**: {software}."""


def _table(groups: Iterable[Group], *, known: bool) -> str:
    title = "| format | colour | files | quick | sandbox | refused |"
    rule = "|:-------|:-------|------:|------:|--------:|--------:|"
    if known:
        title, rule = title + " encoded: mean | worst |", rule + "---:|---:|"
    rows = [title + " Pillow: mean | worst | wrong |", rule + "---:|---:|---:|"]
    for (picture_format, colour), some in itertools.groupby(groups, key=lambda group: (group.format, group.colour)):
        comparisons = [comparison for group in some for comparison in group.comparisons]
        sandboxed = sum(comparison.sandboxed for comparison in comparisons)
        cells = [
            picture_format,
            colour,
            len(comparisons),
            sum(not comparison.sandboxed and comparison.refusal is None for comparison in comparisons),
            sandboxed,
            sum(comparison.refusal is not None for comparison in comparisons),
            *(_errors([comparison.from_shown for comparison in comparisons]) if known else []),
            *_errors([comparison.from_viewer for comparison in comparisons]),
            sum(comparison.fault is not None for comparison in comparisons),
        ]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _errors(errors: Sequence[float | None]) -> tuple[str, str]:
    known = [error for error in errors if error is not None]
    return (f"{sum(known) / len(known):.2f}", f"{max(known):.2f}") if known else ("-", "-")


def _time(groups: Iterable[Group]) -> str:
    """By format, because a colour's files are few."""
    rows = ["| format | files | ours, ms a file | Pillow, ms | ratio |", "|:-------|------:|----:|-------:|------:|"]
    for picture_format, some in itertools.groupby(groups, key=lambda group: group.format):
        of_format = list(some)
        files = sum(len(group.comparisons) for group in of_format)
        ours, theirs = (sum(cpu) for cpu in zip(*((g.cpu_s, g.viewer_cpu_s) for g in of_format), strict=True))
        ratio = f"{ours / theirs:.2f}" if theirs else "-"
        rows.append(
            f"| {picture_format} | {files} | {ours / files * 1000:.2f} | {theirs / files * 1000:.2f} | {ratio} |"
        )
    return "\n".join(
        [
            "## Processor time",
            "",
            "Ours counts the sandbox's, and the way there and back; neither decoder scales.",
            "",
            *rows,
        ]
    )


def _failures(run: Run) -> str:
    comparisons = run.comparisons
    kinds = {
        "Another picture": [(one, one.fault or "") for one in run.wrong],
        "Refused by us": [(one, one.refusal or "") for one in run.refused],
        "Refused by Pillow alone": [
            (one, one.viewer_refusal) for one in comparisons if one.viewer_refusal is not None and one.refusal is None
        ],
        "Shown wrongly by Pillow, rightly by us": [
            (one, f"{one.viewer_from_shown:.1f} from what was encoded")
            for one in comparisons
            if one.viewer_errs and one.refusal is None and one.fault is None
        ],
    }
    return "\n\n".join(_listed(title, found) for title, found in kinds.items()) + "\n"


def _listed(title: str, found: Sequence[tuple[Comparison, str]]) -> str:
    """Files of one format and colour of which the same is to be said are told of once."""
    names: dict[str, list[str]] = {}
    for one, what in found:
        names.setdefault(f"{one.file.format}, {one.file.colour}: {what}", []).append(one.file.name)
    lines = [
        f"- {kind}: {same[0]}" + (f", and {len(same) - 1} more" if len(same) > 1 else "")
        for kind, same in itertools.islice(names.items(), _LISTED)
    ]
    if len(names) > _LISTED:
        lines.append(f"- and {len(names) - _LISTED} kinds more")
    return "\n".join([f"## {title}: {len(found) or 'none'}", "", *lines]).rstrip()
